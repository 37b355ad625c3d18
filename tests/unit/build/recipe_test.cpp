// Sections as command lines and texts; ids of user namespaces.
#include <boost/test/unit_test.hpp>

#include "build/id_maps.hpp"
#include "build/recipe_sections.hpp"
#include "definition/parser.hpp"

using namespace sg;

namespace {

definition::Definition parsed(const std::string& text) {
    definition::Grammar grammar;
    return definition::parse(definition::split_text("x.def", "Bootstrap: any\n" + text), grammar);
}

std::string command(const std::string& line) {
    const auto d = parsed("%post " + line + "\n true\n");
    std::string out;
    for (const auto& word : script_command(d.source, *d.last().section("post"), "/s")) out += "[" + word + "]";
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(recipe)

BOOST_AUTO_TEST_CASE(arguments_of_a_section_go_to_the_shell) {
    BOOST_TEST(command("") == "[/bin/sh][-ex][/s]");
    BOOST_TEST(command("-u") == "[/bin/sh][-ex][-u][/s]");
    BOOST_TEST(command("-c /bin/bash -eu # why") == "[/bin/sh][-ex][-c][/bin/bash -eu /s]");
    BOOST_CHECK_THROW(command("-c"), Error);
}

BOOST_AUTO_TEST_CASE(a_script_is_a_file_with_its_own_interpreter_or_sh) {
    const auto file = [](const std::string& text) { return script_file(*parsed("%runscript" + text).last().section("runscript")); };
    BOOST_TEST(file("\n echo\n") == "#!/bin/sh\n\n echo\n\n");
    BOOST_TEST(file("\n#!/usr/bin/python3\nprint()\n") == "#!/usr/bin/python3\n\nprint()\n\n");
    BOOST_TEST(file("\n\n  #!/bin/bash\n x\n") == "#!/bin/bash\n\n x\n\n");
    BOOST_TEST(file(" -e\n#!/bin/bash\n x\n") == "#!/bin/bash -e\n\n x\n\n");
}

BOOST_AUTO_TEST_CASE(chosen_sections_are_acted_on_alone) {
    BOOST_TEST(ChosenSections::parse({}).has("post"));
    BOOST_TEST(ChosenSections::parse({"all"}).has("post"));
    BOOST_TEST(!ChosenSections::parse({"none"}).has("post"));
    const auto chosen = ChosenSections::parse({"post", "labels"});
    BOOST_TEST(chosen.has("labels"));
    BOOST_TEST(!chosen.has("files"));
    BOOST_CHECK_THROW(ChosenSections::parse({"psot"}), Error);
}

BOOST_AUTO_TEST_CASE(app_installs_run_behind_post_in_their_own_directory) {
    const auto d = parsed("%appinstall a b\n make\n%post\n true\n");
    const auto post = post_script(d.last(), {});
    BOOST_REQUIRE(post);
    BOOST_TEST(post->body() == " true\ncd /\n. '/scif/apps/a/scif/env/01-base.sh'\ncd '/scif/apps/a'\n make\ncd /\n");
    BOOST_TEST(!post_script(d.last(), ChosenSections::parse({"none"})));
    BOOST_TEST(!post_script(parsed("%post\n # nothing\n").last(), {}));
}

BOOST_AUTO_TEST_CASE(subordinate_ids_are_found_by_name_and_number) {
    const std::string text = "# comment\nother:100000:65536\nme:200000:100\nme:300000:70000\n1000:400000:65536\n!me:500000:65536\n";
    BOOST_TEST(subordinate_range(text, "me", 77)->first == 300000u);
    BOOST_TEST(subordinate_range(text, "x", 1000)->first == 400000u);
    BOOST_TEST(subordinate_range(text, "me", 1000)->first == 400000u);
    BOOST_TEST(!subordinate_range(text, "nobody", 5));
    BOOST_TEST(!subordinate_range("me:0:65536\nme:4294967000:65536\nme:x:65536\nme:1\n", "me", 5));
}

BOOST_AUTO_TEST_SUITE_END()
