// What a build adds to a root file system.
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include "metadata/oci.hpp"
#include "metadata/oci_scripts.hpp"
#include "metadata/scripts.hpp"
#include "support.hpp"

using namespace sg;
using namespace metadata_test;

namespace {

uint32_t mode_of(const Tree& tree, const std::string& path) {
    const auto attr = tree.find(path);
    return attr ? attr->mode : 0;
}

// "path mode size target" of all entries, for comparing whole trees.
void describe(Tree& tree, const std::string& path, std::string& out) {
    for (const auto& name : tree.names(path)) {
        const std::string full = path.empty() ? name : path + "/" + name;
        const auto attr = tree.find(full);
        char mode[16];
        std::snprintf(mode, sizeof mode, "%o", attr->mode);
        out += full + " " + mode + " " + std::to_string(attr->uid) + ":" + std::to_string(attr->gid) + " " +
               std::to_string(attr->mtime) + " " +
               (S_ISLNK(attr->mode) ? *tree.link_target(full) : std::to_string(attr->size)) + "\n";
        if (S_ISDIR(attr->mode)) describe(tree, full, out);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(apply)

BOOST_AUTO_TEST_CASE(an_oci_image_gets_every_file_that_apptainers_images_have) {
    Tree tree;
    Recorder recorder;
    const Metadata m = Metadata::for_image(facts_of(config_of({"/bin/cow"}, {"moo"}, {"A=b"})));
    m.apply(tree, recorder.writer(), nullptr);
    for (const char* script :
         {"actions/exec", "actions/run", "actions/shell", "actions/start", "actions/test", "env/01-base.sh",
          "env/10-docker2singularity.sh", "env/90-environment.sh", "env/94-appsbase.sh", "env/95-apps.sh",
          "env/99-base.sh", "env/99-runtimevars.sh", "runscript", "startscript"})
        BOOST_TEST(mode_of(tree, std::string(".singularity.d/") + script) == 0100755u, script);
    for (const char* file :
         {".singularity.d/labels.json", ".singularity.d/Singularity", "etc/hosts", "etc/resolv.conf"})
        BOOST_TEST(mode_of(tree, file) == 0100644u, file);
    for (const char* directory : {".singularity.d", ".singularity.d/libs", ".singularity.d/actions",
                                  ".singularity.d/env", "dev", "proc", "root", "var/tmp", "tmp", "etc", "sys", "home"})
        BOOST_TEST(mode_of(tree, directory) == 040755u, directory);
    BOOST_TEST(*tree.link_target("singularity") == ".singularity.d/runscript");
    BOOST_TEST(*tree.link_target(".run") == ".singularity.d/actions/run");
    BOOST_TEST(*tree.link_target(".exec") == ".singularity.d/actions/exec");
    BOOST_TEST(*tree.link_target(".test") == ".singularity.d/actions/test");
    BOOST_TEST(*tree.link_target(".shell") == ".singularity.d/actions/shell");
    BOOST_TEST(*tree.link_target("environment") == ".singularity.d/env/90-environment.sh");
    BOOST_TEST(!tree.find(".singularity.d/env/91-environment.sh"));
    BOOST_TEST(!tree.find(".singularity.d/test"));
    BOOST_TEST(!tree.find(".singularity.d/bootstrap_history"));
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/Singularity") == "bootstrap: oci\nfrom: lolcow\n\n");
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/runscript") == oci_runscript(config_of({"/bin/cow"}, {"moo"})));
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/labels.json") ==
               "{\n"
               "\t\"org.label-schema.build-arch\": \"amd64\",\n"
               "\t\"org.label-schema.build-date\": \"Thursday_6_December_2018_17:29:49_UTC\",\n"
               "\t\"org.label-schema.schema-version\": \"1.0\",\n"
               "\t\"org.label-schema.usage.singularity.deffile.bootstrap\": \"oci\",\n"
               "\t\"org.label-schema.usage.singularity.deffile.from\": \"lolcow\",\n"
               "\t\"org.label-schema.usage.singularity.version\": \"4.0.0\"\n"
               "}\n");
    BOOST_TEST(tree.find(".singularity.d/runscript")->mtime == 1544117389);
    BOOST_TEST(tree.find("tmp")->mtime == 1544117389);
    BOOST_TEST(tree.find("etc/hosts")->size == 0u);
}

BOOST_AUTO_TEST_CASE(the_parts_of_a_file_have_their_order) {
    BuildFacts facts = facts_of(config_of({"/bin/cow"}, {}, {"A=b"}));
    facts.config->config = R"({"Entrypoint":["/bin/cow"],"Env":["A=b"]})";
    const auto parts = Metadata::for_image(facts).parts();
    BOOST_REQUIRE(parts.size() == 3u);
    BOOST_TEST(parts[0].type == "deffile");
    BOOST_TEST(parts[0].name == "");
    BOOST_TEST(parts[0].bytes == "bootstrap: oci\nfrom: lolcow\n\n");
    BOOST_TEST(parts[1].type == "json");
    BOOST_TEST(parts[1].name == "inspect-metadata.json");
    const Attributes a = parse_attributes(parts[1].bytes);
    BOOST_TEST(a.deffile == "bootstrap: oci\nfrom: lolcow");
    BOOST_TEST(a.runscript == without_trailing_newlines(oci_runscript(*facts.config)));
    BOOST_TEST(a.startscript == "#!/bin/sh");
    BOOST_TEST(a.environment.size() == 2u);
    BOOST_TEST(a.environment.at("/.singularity.d/env/10-docker2singularity.sh") ==
               "#!/bin/sh\nexport A=\"${A:-\"b\"}\"");
    BOOST_TEST(a.labels.at("org.label-schema.schema-version") == "1.0");
    BOOST_TEST(parts[1].bytes.back() == '}');
    BOOST_TEST(parts[2].name == "oci-config.json");
    BOOST_TEST(parts[2].bytes == facts.config->config);
}

BOOST_AUTO_TEST_CASE(labels_of_the_image_stay_and_ours_win) {
    BuildFacts facts = facts_of(config_of({}, {}));
    facts.config->labels = {{"maintainer", "me"}, {"org.label-schema.schema-version", "0.9"}};
    facts.time.reset();
    const Metadata m = Metadata::for_image(facts);
    BOOST_TEST(m.attributes().labels.at("maintainer") == "me");
    BOOST_TEST(m.attributes().labels.at("org.label-schema.schema-version") == "1.0");
    BOOST_TEST(m.attributes().labels.count("org.label-schema.build-date") == 0u);
    Tree tree;
    Recorder recorder;
    m.apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(tree.find(".singularity.d/labels.json")->mtime == 0);
}

BOOST_AUTO_TEST_CASE(what_the_image_has_is_respected) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, "etc/hosts", "127.0.0.1 x\n", 0600);
    tree.put_directory("var/lib", 0700, 5);
    tree.put_symlink("var/tmp", "lib", 5);   // a directory that is a link stays one
    tree.put_symlink("tmp", "/nowhere", 5);  // also one that leads nowhere yet
    put(tree, recorder, "environment", "the image's own");
    tree.put_directory("singularity", 0755, 5);
    tree.put_symlink(".run", "elsewhere", 5);
    tree.put_symlink(".exec", ".singularity.d/actions/exec", 5);
    tree.put_directory("root", 0700, 5);
    Metadata::for_image(facts_of(config_of({}, {}))).apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(text_of(tree, recorder, "etc/hosts") == "");
    BOOST_TEST(mode_of(tree, "etc/hosts") == 0100644u);
    BOOST_TEST(*tree.link_target("var/tmp") == "lib");
    BOOST_TEST(*tree.link_target("tmp") == "/nowhere");
    BOOST_TEST(text_of(tree, recorder, "environment") == "the image's own");
    BOOST_TEST(mode_of(tree, "singularity") == 040755u);
    BOOST_TEST(*tree.link_target(".run") == ".singularity.d/actions/run");
    BOOST_TEST(tree.find(".exec")->mtime == 5);
    BOOST_TEST(mode_of(tree, "root") == 040700u);
    BOOST_TEST(tree.find("root")->mtime == 5);
}

BOOST_AUTO_TEST_CASE(no_link_of_the_image_leads_out_of_it) {
    Tree tree;
    Recorder recorder;
    tree.put_directory("real", 0755, 0);
    tree.put_symlink("etc", "../../../../real", 0);
    tree.put_symlink(".singularity.d", "/real/meta", 0);  // dangles
    put(tree, recorder, "real/target", "precious");
    tree.put_symlink("real/hosts", "/real/target", 0);
    tree.put_symlink("real/resolv.conf", "../../run/absent/resolv.conf", 0);
    Metadata::for_image(facts_of(config_of({"/bin/cow"}, {}))).apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(text_of(tree, recorder, "real/target") == "");  // what the link leads to is emptied
    BOOST_TEST(*tree.link_target("real/hosts") == "/real/target");
    BOOST_TEST(mode_of(tree, "real/resolv.conf") == 0100644u);  // a dangling link gives way
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/runscript") == oci_runscript(config_of({"/bin/cow"}, {})));
}

BOOST_AUTO_TEST_CASE(loops_of_links_do_no_harm) {
    Tree tree;
    Recorder recorder;
    tree.put_directory("etc", 0755, 0);
    tree.put_symlink("etc/hosts", "resolv.conf", 0);
    tree.put_symlink("etc/resolv.conf", "hosts", 0);
    tree.put_symlink(".singularity.d/Singularity", "Singularity", 0);
    tree.put_symlink(".singularity.d/runscript", "../.singularity.d/runscript", 0);
    Metadata::for_image(facts_of(config_of({}, {}))).apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(mode_of(tree, "etc/hosts") == 0100644u);
    BOOST_TEST(*tree.link_target("etc/resolv.conf") == "hosts");  // which is a file now
    BOOST_TEST(mode_of(tree, ".singularity.d/Singularity") == 0100644u);
    BOOST_TEST(mode_of(tree, ".singularity.d/runscript") == 0100755u);
}

BOOST_AUTO_TEST_CASE(files_stand_where_directories_are_due) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, "tmp", "a file");
    put(tree, recorder, ".singularity.d", "a file");
    tree.put_directory("etc/hosts/below", 0755, 0);
    Metadata::for_image(facts_of(config_of({}, {}))).apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(mode_of(tree, "tmp") == 040755u);
    BOOST_TEST(mode_of(tree, ".singularity.d/runscript") == 0100755u);
    BOOST_TEST(mode_of(tree, "etc/hosts") == 040755u);  // a directory is left alone
}

BOOST_AUTO_TEST_CASE(an_image_with_a_definition_keeps_it_in_the_history) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, ".singularity.d/Singularity", "the older one");
    put(tree, recorder, ".singularity.d/bootstrap_history/Singularity0", "the oldest");
    Metadata::for_image(facts_of(config_of({}, {}))).apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/bootstrap_history/Singularity0") == "the oldest");
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/bootstrap_history/Singularity1") == "the older one");
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/Singularity") == "bootstrap: oci\nfrom: lolcow\n\n");
}

BOOST_AUTO_TEST_CASE(without_a_config_there_are_stubs_and_the_images_hosts_stay) {
    BuildFacts facts = facts_of({});
    facts.config.reset();
    Tree tree;
    Recorder recorder;
    put(tree, recorder, "etc/hosts", "mine");
    const Metadata m = Metadata::for_image(facts);
    m.apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/runscript") == runscript_stub);
    BOOST_TEST(text_of(tree, recorder, "etc/hosts") == "mine");
    BOOST_TEST(!tree.find(".singularity.d/env/10-docker2singularity.sh"));
    BOOST_TEST(text_of(tree, recorder, "etc/resolv.conf") == "");  // a place for the host's
    BOOST_TEST(m.parts().size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_base_image_keeps_what_it_has) {
    Tree tree;
    Recorder recorder;
    put(tree, recorder, ".singularity.d/labels.json",
        R"({"maintainer":"me","org.label-schema.usage.singularity.deffile.bootstrap":"docker"})");
    put(tree, recorder, ".singularity.d/runscript", "#!/bin/sh\nthe base's\n", 0755);
    put(tree, recorder, ".singularity.d/env/90-environment.sh", "export BASE=1\n", 0755);
    put(tree, recorder, ".singularity.d/env/10-docker2singularity.sh", "export D=1\n", 0755);
    put(tree, recorder, ".singularity.d/Singularity", "bootstrap: docker\n");
    put(tree, recorder, ".singularity.d/runscript.help", "how to\n");
    BuildFacts facts = facts_of({});
    facts.header = {{"bootstrap", "localimage"}, {"from", "base.sif"}};
    facts.deffile = "bootstrap: localimage\nfrom: base.sif\n\n";
    Readable base(tree, recorder);
    const Metadata m = Metadata::for_base(facts, read_base_metadata(base.foreign()));
    m.apply(tree, recorder.writer(), nullptr);
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/runscript") == "#!/bin/sh\nthe base's\n");
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/env/90-environment.sh") == "export BASE=1\n");
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/startscript") == startscript_stub);  // was missing
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/bootstrap_history/Singularity0") == "bootstrap: docker\n");
    BOOST_TEST(text_of(tree, recorder, ".singularity.d/Singularity") == facts.deffile);
    BOOST_TEST(text_of(tree, recorder, "etc/hosts") == "<none>");
    const Attributes& a = m.attributes();
    BOOST_TEST(a.labels.at("maintainer") == "me");
    BOOST_TEST(a.labels.at("org.label-schema.usage.singularity.deffile.bootstrap") == "localimage");
    BOOST_TEST(a.runscript == "#!/bin/sh\nthe base's");
    BOOST_TEST(a.helpfile == "how to");
    BOOST_TEST(a.startscript == "#!/bin/sh");
    BOOST_TEST(a.deffile == "bootstrap: localimage\nfrom: base.sif");
    BOOST_TEST(a.environment.at("/.singularity.d/env/10-docker2singularity.sh") == "export D=1");
    BOOST_TEST(a.environment.at("/.singularity.d/env/90-environment.sh") == "export BASE=1");
    BOOST_TEST(parse_labels(text_of(tree, recorder, ".singularity.d/labels.json")).size() == a.labels.size());
}

// What inspect finds in the record is what it finds in the files.
BOOST_AUTO_TEST_CASE(the_record_and_the_files_say_the_same) {
    Tree tree;
    Recorder recorder;
    const Metadata m = Metadata::for_image(facts_of(config_of({"/bin/cow"}, {"moo"}, {"A=b", "PATH=/x"})));
    m.apply(tree, recorder.writer(), nullptr);
    Readable image(tree, recorder);
    const Metadata again = Metadata::for_base(facts_of({}), read_base_metadata(image.foreign()));
    BOOST_TEST(attributes_json(again.attributes()) == attributes_json(m.attributes()));
}

BOOST_AUTO_TEST_CASE(equal_facts_give_equal_trees) {
    std::string first, second;
    for (std::string* out : {&first, &second}) {
        Tree tree;
        Recorder recorder;
        const Metadata m = Metadata::for_image(facts_of(config_of({"/bin/cow"}, {}, {"A=b"})));
        m.apply(tree, recorder.writer(), nullptr);
        describe(tree, "", *out);
        for (const auto& part : m.parts()) *out += part.name + part.bytes;
    }
    BOOST_TEST(first == second);
    BOOST_TEST(first.find(" 0:0 1544117389 ") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
