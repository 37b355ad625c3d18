// The verb `sif` as a person calls it.
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>

#include "support.hpp"

using namespace sif_test;

namespace {

const int usage = SG_EUSAGE;

}  // namespace

BOOST_AUTO_TEST_SUITE(command)

BOOST_AUTO_TEST_CASE(a_container_is_made_filled_and_emptied_by_the_verb) {
    ::setenv("SOURCE_DATE_EPOCH", "1593475316", 1);
    const Folder folder;
    BOOST_TEST(run_sif("new", {"x.sif"}, {}, folder.path()).code == 0);
    struct stat st {};
    BOOST_TEST(::stat((folder / "x.sif").c_str(), &st) == 0);
    BOOST_TEST((st.st_mode & 0100) == 0100u);
    write_file(folder / "root", std::string(5000, 'r'));
    write_file(folder / "data.json", "{}");
    BOOST_TEST(run_sif("add", {"x.sif", "root"},
                       {{"datatype", "4"}, {"parttype", "2"}, {"partfs", "1"}, {"partarch", "2"}}, folder.path())
                   .error == "");
    BOOST_TEST(
        run_sif("add", {"x.sif", "data.json"}, {{"datatype", "json"}, {"groupid", "2"}, {"link", "1"}}, folder.path())
            .error == "");
    BOOST_TEST(run_sif("list", {"x.sif"}, {}, folder.path()).out ==
               "------------------------------------------------------------------------------\n"
               "ID   |GROUP   |LINK    |SIF POSITION (start-end)  |TYPE\n"
               "------------------------------------------------------------------------------\n"
               "1    |1       |NONE    |32768-37768               |FS (Squashfs/*System/amd64)\n"
               "2    |2       |1       |37768-37770               |JSON.Generic\n");
    BOOST_TEST(run_sif("info", {"2", "x.sif"}, {}, folder.path()).out.find("  Name:         data.json\n") !=
               std::string::npos);
    BOOST_TEST(run_sif("dump", {"2", "x.sif"}, {}, folder.path()).out == "{}");
    BOOST_TEST(run_sif("header", {"x.sif"}, {}, folder.path())
                   .out.find("Primary Architecture: amd64\nCreated At:           2020-06-30 00:01:56 +0000 UTC\n") !=
               std::string::npos);
    BOOST_TEST(run_sif("del", {"1", "x.sif"}, {{"zero", "true"}}, folder.path()).code == 0);
    BOOST_TEST(run_sif("header", {"x.sif"}, {}, folder.path()).out.find("Primary") == std::string::npos);
    BOOST_TEST(run_sif("setprim", {"2", "x.sif"}, {}, folder.path()).error.find("object 2 is no system partition") !=
               std::string::npos);
    ::unsetenv("SOURCE_DATE_EPOCH");
}

BOOST_AUTO_TEST_CASE(an_existing_file_is_not_replaced) {
    const Folder folder;
    write_file(folder / "x.sif", "precious");
    BOOST_TEST(run_sif("new", {folder / "x.sif"}).code == static_cast<int>(SG_EEXISTS));
    BOOST_TEST(read_file(folder / "x.sif") == "precious");
}

BOOST_AUTO_TEST_CASE(two_new_containers_have_different_ids) {
    const Folder folder;
    run_sif("new", {folder / "a.sif"});
    run_sif("new", {folder / "b.sif"});
    BOOST_TEST((read_file(folder / "a.sif").substr(48, 16) != read_file(folder / "b.sif").substr(48, 16)));
}

BOOST_AUTO_TEST_CASE(json_says_the_same) {
    const Folder folder;
    write_file(folder / "x.sif", sample());
    const std::string list = run_sif("list", {folder / "x.sif"}, {{"json", "true"}}).out;
    BOOST_TEST(list.find("\"attributes\": {\n        \"fs\": \"Squashfs\",\n        \"part\": \"*System\",\n        "
                         "\"arch\": \"amd64\"\n") != std::string::npos);
    BOOST_TEST(list.find("\"link\": null") != std::string::npos);
    BOOST_TEST(run_sif("header", {folder / "x.sif"}, {{"json", "true"}}).out.find("\"descriptorsTotal\": 48") !=
               std::string::npos);
    BOOST_TEST(run_sif("info", {"1", folder / "x.sif"}, {{"json", "true"}}).out.find("\"type\": \"deffile\"") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_command_lines_say_what_is_right) {
    BOOST_TEST(run_sif("", {}).code == usage);
    BOOST_TEST(run_sif("explode", {}).error == "`sif` has no command 'explode'");
    BOOST_TEST(run_sif("list", {}).hint == "usage: singularity sif list FILE");
    BOOST_TEST(run_sif("info", {"x", "/nowhere"}).error.find("cannot open /nowhere") != std::string::npos);
    const Folder folder;
    write_file(folder / "x.sif", sample());
    for (const char* id : {"x", "", "-1", "1x", "99999999999999999999", "4294967296"})
        BOOST_TEST(run_sif("info", {id, folder / "x.sif"}).code == usage, id);
    BOOST_TEST(run_sif("info", {"4294967295", folder / "x.sif"}).code == static_cast<int>(SG_ENOTFOUND));
    BOOST_TEST(run_sif("add", {folder / "x.sif", folder / "x.sif"}).error.find("--datatype") != std::string::npos);
    BOOST_TEST(run_sif("add", {folder / "x.sif", folder / "none"}, {{"datatype", "json"}}).code ==
               static_cast<int>(SG_ENOTFOUND));
    BOOST_TEST(run_sif("add", {folder / "x.sif", folder / "x.sif"}, {{"datatype", "99"}}).code == usage);
}

BOOST_AUTO_TEST_CASE(an_image_of_singularity_2_is_no_sif) {
    const auto data = test_data();
    if (!data) return;
    BOOST_TEST(run_sif("header", {*data + "/sif-field/hello.simg"}).error.find("does not have the SIF magic") !=
               std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
