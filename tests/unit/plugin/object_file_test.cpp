#include "plugin/object_file.hpp"

#include <elf.h>

#include <boost/test/unit_test.hpp>

#include "world.hpp"

using namespace sg;

namespace {

std::string object() {
    std::ifstream in(std::string(TEST_OBJECTS) + "/good.so", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(an_object_that_cannot_be_used_is_told_apart, World) {
    const std::string good = object();
    const auto defect = [&](const std::string& bytes) { return object_defect(write("x.so", bytes)); };
    BOOST_TEST(defect(good) == "");
    BOOST_TEST(defect("") == "is empty");
    BOOST_TEST(defect("text that is longer than a header of an object would have to be") == "is no ELF object");
    BOOST_TEST(defect(good.substr(0, 40)) == "is cut short");
    BOOST_TEST(defect(good.substr(0, good.size() / 4)) == "is cut short");
    std::string other = good;
    reinterpret_cast<Elf64_Ehdr*>(other.data())->e_machine = EM_S390;
    BOOST_TEST(defect(other).starts_with("is built for another machine (s390; this one is "));
    other = good;
    other[EI_DATA] = other[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB;
    BOOST_TEST(defect(other).starts_with("is built for another machine"));
    other = good;
    reinterpret_cast<Elf64_Ehdr*>(other.data())->e_type = ET_EXEC;
    BOOST_TEST(defect(other) == "is no shared object");
    other = good;
    reinterpret_cast<Elf64_Ehdr*>(other.data())->e_phoff = UINT64_MAX - 8;
    BOOST_TEST(defect(other) == "is cut short");
    BOOST_TEST(object_defect(at("nowhere")) == "");  // the system says that better
}

BOOST_FIXTURE_TEST_CASE(an_object_in_a_directory_that_others_may_write_is_not_loaded, World) {
    add_good();
    host();
    const std::string folder = at("good-good");
    chmod(folder.c_str(), 0777);
    BOOST_TEST(holds(failure([&] { host().verify("good"); }),
                     "is not loaded, because of " + folder + ", which other users may write to"));
    chmod(folder.c_str(), 01777);  // sticky: nobody else can exchange it
    BOOST_TEST(failure([&] { host().verify("good"); }) == "none");
}
