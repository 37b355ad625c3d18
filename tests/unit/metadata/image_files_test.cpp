// Metadata files of a hostile image: links stay inside, nothing but files is read, sizes are limited.
#include "metadata/image_files.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "support.hpp"

using namespace sg;
using namespace metadata_test;

BOOST_AUTO_TEST_SUITE(image_files)

BOOST_AUTO_TEST_CASE(links_are_followed_inside_the_root_only) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, "etc/passwd", "the image's");
    tree.put_symlink("a", "/etc/passwd", 0);
    tree.put_symlink("b", "../../../../etc/passwd", 0);
    tree.put_symlink("d/c", "../a", 0);
    tree.put_symlink("dir", "/etc", 0);
    tree.put_symlink("loop", "loop", 0);
    tree.put_symlink("out", "/nowhere", 0);
    Readable image(tree, recorder);
    const auto root = image.foreign();
    for (const char* path : {"etc/passwd", "/etc//./passwd", "a", "b", "d/c", "dir/passwd", "dir/../dir/passwd"})
        BOOST_TEST(read_text_file(root, path).value_or("nothing") == "the image's", path);
    for (const char* path : {"loop", "out", "etc", "etc/passwd/x", "absent", "loop/x"})
        BOOST_TEST(!read_text_file(root, path), path);
}

BOOST_AUTO_TEST_CASE(a_huge_file_is_refused_and_a_fifo_not_read) {
    Tree tree;
    tree.put_file(".singularity.d/runscript", 0755, 0, 5ull << 20, 0);
    Recorder recorder;
    Readable image(tree, recorder);
    BOOST_CHECK_THROW(read_attributes(image.foreign()), Error);
    Tree::Inode fifo;
    fifo.mode = 0010644;
    tree.place(tree.make_child(Tree::root, "fifo"), tree.add_file(fifo));
    Readable again(tree, recorder);
    BOOST_TEST(!read_text_file(again.foreign(), "fifo"));
}

BOOST_AUTO_TEST_CASE(everything_that_inspect_shows_is_found) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, ".singularity.d/labels.json", "{\"k\":\"v\"}");
    put(tree, recorder, ".singularity.d/runscript", "run\n");
    put(tree, recorder, ".singularity.d/startscript", "start\n\n");
    put(tree, recorder, ".singularity.d/test", "test\n");
    put(tree, recorder, ".singularity.d/runscript.help", "help\n");
    put(tree, recorder, ".singularity.d/Singularity", "bootstrap: x\n\n");
    put(tree, recorder, ".singularity.d/env/01-base.sh", "no");
    put(tree, recorder, ".singularity.d/env/10-docker.sh", "old\n");
    put(tree, recorder, ".singularity.d/env/10-docker2singularity.sh", "docker\n");
    put(tree, recorder, ".singularity.d/env/90-environment.sh", "ninety\n");
    put(tree, recorder, ".singularity.d/env/91-environment.sh", "ninetyone\n");
    put(tree, recorder, ".singularity.d/env/99-base.sh", "no");
    put(tree, recorder, "scif/apps/foo/scif/runscript", "foo run\n");
    put(tree, recorder, "scif/apps/foo/scif/labels.json", "{\"SCIF_APP_NAME\":\"foo\"}");
    put(tree, recorder, "scif/apps/foo/scif/env/90-environment.sh", "foo env\n");
    put(tree, recorder, "scif/apps/file", "no app");
    Readable image(tree, recorder);
    const Attributes a = read_attributes(image.foreign());
    BOOST_TEST(
        attributes_json(a) ==
        R"({"data":{"attributes":{"apps":{"foo":{"environment":{"/scif/apps/foo/scif/env/90-environment.sh":"foo env"},)"
        R"("labels":{"SCIF_APP_NAME":"foo"},"runscript":"foo run"}},)"
        R"("environment":{"/.singularity.d/env/10-docker.sh":"old","/.singularity.d/env/10-docker2singularity.sh":"docker",)"
        R"("/.singularity.d/env/90-environment.sh":"ninety","/.singularity.d/env/91-environment.sh":"ninetyone"},)"
        R"("labels":{"k":"v"},"runscript":"run","test":"test","helpfile":"help","deffile":"bootstrap: x","startscript":"start"}},"type":"container"})");
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_no_image_gives_nothing) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, "notes.txt", "x");
    Readable image(tree, recorder);
    BOOST_TEST(attributes_json(read_attributes(image.foreign())) == R"({"data":{"attributes":{}},"type":"container"})");
}

BOOST_AUTO_TEST_CASE(an_image_of_before_2_3_has_its_two_files) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, "singularity", "#!/bin/sh\nexec cow\n");
    put(tree, recorder, "environment", "PATH=/x\n");
    Readable image(tree, recorder);
    const Attributes a = read_attributes(image.foreign());
    BOOST_TEST(a.runscript == "#!/bin/sh\nexec cow");
    BOOST_TEST(a.environment.at("/environment") == "PATH=/x");
}

BOOST_AUTO_TEST_CASE(damaged_labels_are_reported_and_count_as_none) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, ".singularity.d/labels.json", "{\"k\":");
    put(tree, recorder, ".singularity.d/runscript", "run");
    Readable image(tree, recorder);
    std::vector<std::string> problems;
    const Attributes a = read_attributes(image.foreign(), &problems);
    BOOST_TEST(a.labels.empty());
    BOOST_TEST(a.runscript == "run");
    BOOST_REQUIRE(problems.size() == 1u);
    BOOST_TEST(problems[0].find("/.singularity.d/labels.json: labels.json is no JSON") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
