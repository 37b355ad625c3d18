#include <sys/stat.h>

#include "bootstrap.family/source_fixture.hpp"

using namespace fixture;

namespace {
Source& source() {
    static Source s(PLUGIN_OBJECT, "localimage");
    return s;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(local_images)

BOOST_AUTO_TEST_CASE(files_and_directories_are_used_in_place) {
    const Scratch dir;
    const std::string file = dir.write("a.sif", "x");
    const auto image = source().open(file);
    BOOST_TEST(image->kind == static_cast<int32_t>(SG_PATH));
    BOOST_TEST(std::string(image->path) == file);
    BOOST_TEST(!image->layers);
    BOOST_TEST(std::string(source().open("a.sif", {.directory = dir.path()})->path) == dir.path() + "/a.sif");
    BOOST_TEST(std::string(source().open(dir.path())->path) == dir.path());
    const Id id = source().resolve(file);
    BOOST_TEST(id.key == "");
    BOOST_TEST(id.cache_area == "");
    BOOST_TEST(id.name == "a.sif");
    dir.write("sb/bin/sh", "x");
    BOOST_TEST(source().resolve("sb/", {.directory = dir.path()}).name == "sb.sif");
}

BOOST_AUTO_TEST_CASE(what_is_no_image_is_refused) {
    const Scratch dir;
    BOOST_TEST((error_of([&] { source().open(dir.path() + "/none.sif"); }).code() == Code::not_found));
    BOOST_CHECK_THROW(source().open(""), Error);
    const std::string fifo = dir.path() + "/fifo";
    BOOST_REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    BOOST_TEST(contains(error_of([&] { source().open(fifo); }).message(), "neither a file nor a directory"));
    BOOST_TEST(contains(error_of([&] { source().open("/dev/null"); }).message(), "neither a file nor a directory"));
    if (::geteuid() != 0) {
        const std::string secret = dir.write("s.sif", "x");
        ::chmod(secret.c_str(), 0);
        BOOST_TEST((error_of([&] { source().open(secret); }).code() == Code::permission));
    }
}

BOOST_AUTO_TEST_SUITE_END()
