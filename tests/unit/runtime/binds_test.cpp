#include "runtime/binds.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(binds)

static std::string shown(const std::vector<Bind>& all) {
    std::string out;
    for (const auto& b : all) out += "[" + b.source + "|" + b.destination + (b.read_only ? "|ro]" : "]");
    return out;
}

BOOST_AUTO_TEST_CASE(the_plain_forms_are_understood) {
    BOOST_TEST(shown(parse_binds("/a")) == "[/a|/a]");
    BOOST_TEST(shown(parse_binds("/a:/b")) == "[/a|/b]");
    BOOST_TEST(shown(parse_binds("/a:/b:ro")) == "[/a|/b|ro]");
    BOOST_TEST(shown(parse_binds("/a:/b:rw")) == "[/a|/b]");
    BOOST_TEST(shown(parse_binds("/a:/a:ro,/c,/d:/e")) == "[/a|/a|ro][/c|/c][/d|/e]");
    BOOST_TEST(shown(parse_binds("")) == "");
    BOOST_TEST(shown(parse_binds("/a,,/b")) == "[/a|/a][/b|/b]");
    BOOST_TEST(shown(parse_binds("/a:")) == "[/a|/a]");
}

BOOST_AUTO_TEST_CASE(colons_and_commas_can_be_escaped) {
    BOOST_TEST(shown(parse_binds("/a\\:b:/c\\,d")) == "[/a:b|/c,d]");
    BOOST_TEST(shown(parse_binds("/x\\,y,/z")) == "[/x,y|/x,y][/z|/z]");
    BOOST_TEST(shown(parse_binds("/with space")) == "[/with space|/with space]");
}

BOOST_AUTO_TEST_CASE(wrong_forms_are_usage_errors) {
    for (const char* text : {":/b", "/a:/b:xx", "/a:/b:ro:more"}) {
        BOOST_CHECK_EXCEPTION(parse_binds(text), Error, [](const Error& e) { return e.code() == Code::usage; });
    }
    for (const char* text : {"/a.sif:/b:image-src=relative", "/a.sif:/b:id=0", "/a.sif:/b:id=x"})
        BOOST_CHECK_EXCEPTION(parse_binds(text), Error, [](const Error& e) { return e.code() == Code::usage; });
}

BOOST_AUTO_TEST_CASE(a_part_of_an_image_is_named_by_its_path_and_its_number) {
    const auto binds = parse_binds("/a.sif:/b:ro,image-src=/data,/plain:/c,/d.sif:/d:id=3");
    BOOST_REQUIRE(binds.size() == 3u);
    BOOST_TEST(binds[0].of_image);
    BOOST_TEST(binds[0].read_only);
    BOOST_TEST(binds[0].image_path == "/data");
    BOOST_TEST(!binds[1].of_image);
    BOOST_TEST(binds[2].image_part == 3u);
    BOOST_TEST(binds[2].image_path == "/");
    const auto mounts = parse_mounts("type=bind,src=/a.sif,dst=/b,image-src=/x,id=2");
    BOOST_REQUIRE(mounts.size() == 1u);
    BOOST_TEST(mounts[0].image_path == "/x");
    BOOST_TEST(mounts[0].image_part == 2u);
}

BOOST_AUTO_TEST_CASE(programs_that_serve_a_directory_are_words_of_a_shell) {
    const FuseMount host = parse_fuse_mount("host:sshfs -o ro 'a b:/x y' /mnt/x");
    BOOST_TEST(!host.in_container);
    BOOST_TEST(!host.daemon);
    BOOST_TEST(host.command == (std::vector<std::string>{"sshfs", "-o", "ro", "a b:/x y"}), boost::test_tools::per_element());
    BOOST_TEST(host.destination == "/mnt/x");
    const FuseMount other = parse_fuse_mount("container-daemon:/bin/x\\ y \"\" /z");
    BOOST_TEST(other.in_container);
    BOOST_TEST(other.daemon);
    BOOST_TEST(other.command == (std::vector<std::string>{"/bin/x y", ""}), boost::test_tools::per_element());
    for (const char* text : {"", "host:", "host:x", "host:x relative", "host:x 'open /z", "/z"})
        BOOST_CHECK_EXCEPTION(parse_fuse_mount(text), Error, [](const Error& e) { return e.code() == Code::usage; });
}

BOOST_AUTO_TEST_CASE(mount_specifications_are_csv) {
    BOOST_TEST(shown(parse_mounts("type=bind,source=/a,target=/b,readonly")) == "[/a|/b|ro]");
    BOOST_TEST(shown(parse_mounts("type=bind,src=/a,dst=/b")) == "[/a|/b]");
    BOOST_TEST(shown(parse_mounts("src=/a,dst=/b,ro")) == "[/a|/b|ro]");  // as Apptainer takes it
    BOOST_TEST(shown(parse_mounts("\"source=/a,b\",type=bind,\"destination=/c \"\"d\"\"\"")) == "[/a,b|/c \"d\"]");
    BOOST_TEST(shown(parse_mounts("type=bind,src=/a,dst=/b,ro\ntype=bind,src=/c,dst=/d\n")) == "[/a|/b|ro][/c|/d]");
    for (const char* text : {"type=tmpfs,dst=/b", "type=bind,src=/a", "type=bind,dst=/a", "type=bind,src=/a,dst=/b,what=1", "\"type=bind"}) {
        BOOST_CHECK_EXCEPTION(parse_mounts(text), Error, [](const Error& e) { return e.code() == Code::usage; });
    }
}

BOOST_AUTO_TEST_SUITE_END()
