#include <boost/test/unit_test.hpp>

#include "cli/verb_app.hpp"
#include "config/settings.hpp"

using namespace sg;

BOOST_AUTO_TEST_CASE(an_option_takes_one_value_each_time_and_lists_add_up) {
    VerbApp app("", "verb");
    std::vector<std::string> binds, words;
    app.add_option("-B,--bind", binds);
    app.add_option("WORDS", words);
    one_value_each(app);
    std::vector<std::string> line{"d", "--bind=c", "b", "a", "-B"};  // reversed, as CLI11 wants it
    app.parse(line);
    BOOST_REQUIRE(binds.size() == 2u);
    BOOST_TEST(binds[0] == "a");
    BOOST_TEST(binds[1] == "c");
    BOOST_TEST(words.size() == 2u);
}

BOOST_AUTO_TEST_CASE(variables_stand_in_for_options_in_both_spellings) {
    const auto binds_with = [](std::vector<std::string> words, bool append) {
        VerbApp app("", "verb");
        std::vector<std::string> binds;
        variable(app.add_option("-B,--bind", binds), "BIND,BINDPATH", append);
        one_value_each(app);
        std::reverse(words.begin(), words.end());
        app.parse(words);
        apply_variables(app);
        std::string out;
        for (const auto& b : binds) out += b + ";";
        return out;
    };
    unsetenv("SINGULARITY_BIND");
    BOOST_TEST(binds_with({}, false) == "");
    setenv("SINGULARITY_BINDPATH", "/third", 1);
    BOOST_TEST(binds_with({}, false) == "/third;");
    setenv("APPTAINER_BIND", "/second", 1);
    BOOST_TEST(binds_with({}, false) == "/second;");
    setenv("SINGULARITY_BIND", "/a,/b", 1);
    BOOST_TEST(binds_with({}, false) == "/a;/b;");
    BOOST_TEST(binds_with({"-B", "/c"}, false) == "/c;");  // the command line wins
    BOOST_TEST(binds_with({"-B", "/c"}, true) == "/c;/a;/b;");
    setenv("SINGULARITY_BIND", "", 1);
    BOOST_TEST(binds_with({}, false) == "/second;");  // empty is none
    for (const char* name : {"SINGULARITY_BIND", "APPTAINER_BIND", "SINGULARITY_BINDPATH"}) unsetenv(name);
}

BOOST_AUTO_TEST_CASE(flags_take_the_words_of_go) {
    const auto forced = [](const char* value) {
        setenv("SINGULARITY_FORCE", value, 1);
        VerbApp app("", "verb");
        bool force = false;
        variable(app.add_flag("--force", force), "FORCE");
        std::vector<std::string> none;
        app.parse(none);
        apply_variables(app);
        unsetenv("SINGULARITY_FORCE");
        return force;
    };
    for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"}) BOOST_TEST(forced(yes), yes);
    for (const char* no : {"0", "f", "false", ""}) BOOST_TEST(!forced(no), no);
    BOOST_CHECK_EXCEPTION(forced("perhaps"), Error, [](const Error& e) {
        unsetenv("SINGULARITY_FORCE");
        return e.message().find("SINGULARITY_FORCE") == 0;
    });
}

BOOST_AUTO_TEST_CASE(an_option_may_set_a_configuration_value) {
    VerbApp app("", "verb");
    std::string compress;
    sets_key(app.add_option("--compress", compress), "build.compress");
    std::vector<std::string> line{"gzip", "--compress"};
    app.parse(line);
    Settings settings(Settings::defaults().index());
    apply_keys(app, settings);
    BOOST_TEST(settings.text("build.compress") == "gzip");
    BOOST_TEST(settings.origin("build.compress").where == "--compress");
}

BOOST_AUTO_TEST_CASE(options_of_plugins_are_read_in_their_order) {
    const std::vector<OptionView> views{{"login", "l", "flag", "LOGIN", "Ask", "p", {}}, {"host", "", "text", "", "", "p", {}},
                                        {"tag", "", "list", "", "", "p", {}},           {"depth", "", "integer", "", "", "p", {}}};
    const auto given = [&](std::vector<std::string> words) {
        VerbApp app("", "verb");
        add_plugin_options(app, views, "Options of plugins");
        std::reverse(words.begin(), words.end());
        app.parse(words);
        apply_variables(app);
        std::string out;
        for (const auto& [k, v] : given_options(app, views)) out += k + "=" + v + ";";
        return out;
    };
    BOOST_TEST(given({"--tag", "a", "--login", "--host=h", "--tag", "b"}) == "tag=a;login=true;host=h;tag=b;");
    BOOST_TEST(given({"-l"}) == "login=true;");
    BOOST_CHECK_THROW(given({"--depth", "deep"}), CLI::ParseError);
    setenv("SINGULARITY_LOGIN", "true", 1);
    BOOST_TEST(given({}) == "login=true;");
    unsetenv("SINGULARITY_LOGIN");
}

BOOST_AUTO_TEST_CASE(help_shows_usage_options_variables_and_examples) {
    VerbApp app("Does things", "verb");
    std::string target, compress;
    bool force = false;
    app.add_option("TARGET", target, "What to make")->required();
    app.add_flag("-F,--force", force, "Replace it");
    variable(sets_key(app.add_option("--compress", compress, "How"), "build.compress"), "COMPRESS");
    examples(app, {"singularity verb x"});
    const std::string text = help_text(app, "verb");
    for (const char* part : {"Usage: singularity verb [options] TARGET\n", "Does things", "-F, --force", "Replace it", "--compress TEXT",
                             "[SINGULARITY_COMPRESS]", "[build.compress]", "Examples:\n  $ singularity verb x\n"})
        BOOST_TEST((text.find(part) != std::string::npos), part);
}
