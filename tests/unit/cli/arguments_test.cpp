#include "cli/arguments.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "cli/plugin_options.hpp"
#include "config/settings.hpp"

using namespace sg;

namespace {

struct Line {
    Arguments arguments{"verb", "Does things"};
    bool force = false, deep = false;
    std::string name, target;
    int64_t depth = 0;
    std::vector<std::string> binds, words;

    Line() {
        arguments.flag("-F,--force", force, "Replace it");
        arguments.flag("-d,--deep", deep, "Go down");
        arguments.text("-n,--name,--alias", name, "Its name");
        arguments.integer("--depth", depth, "How far").hidden();
        arguments.list("-B,--bind", binds, "What to bind");
    }
};

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words) out += w + ";";
    return out;
}

std::string message_of(const std::function<void()>& what) {
    try {
        what();
    } catch (const Error& e) {
        BOOST_TEST((e.code() == Code::usage));
        return e.message() + "|" + e.hint();
    }
    return "nothing was thrown";
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(options_stand_before_between_and_behind_words) {
    Line v;
    v.arguments.words("WORDS", v.words, "");
    BOOST_TEST(v.arguments.parse({"-B", "a", "b", "--bind=c", "d", "-Be", "--force", "--bind", "-x"}));
    BOOST_TEST(joined(v.binds) == "a;c;e;-x;");
    BOOST_TEST(joined(v.words) == "b;d;");
    BOOST_TEST(v.force);
    BOOST_TEST(!v.deep);
}

BOOST_AUTO_TEST_CASE(short_flags_cluster_and_the_last_may_take_a_value) {
    Line v;
    BOOST_TEST(v.arguments.parse({"-Fdn", "me"}));
    BOOST_TEST((v.force && v.deep));
    BOOST_TEST(v.name == "me");
    Line w;
    BOOST_TEST(w.arguments.parse({"-dnyou", "-n=us", "--alias", "them"}));
    BOOST_TEST(w.name == "them");  // the last one counts
    Line off;
    BOOST_TEST(off.arguments.parse({"--force=false", "-d=true"}));
    BOOST_TEST((!off.force && off.deep));
}

BOOST_AUTO_TEST_CASE(two_dashes_end_the_options) {
    Line v;
    v.arguments.words("WORDS", v.words, "");
    BOOST_TEST(v.arguments.parse({"-F", "--", "-d", "--", "-"}));
    BOOST_TEST(joined(v.words) == "-d;--;-;");
    BOOST_TEST(!v.deep);
}

BOOST_AUTO_TEST_CASE(what_follows_the_first_word_can_be_for_somebody_else) {
    Line v;
    v.arguments.pass_rest();
    BOOST_TEST(v.arguments.parse({"-F", "image", "--deep", "--", "-n", "--no-such"}));
    BOOST_TEST(joined(v.arguments.rest()) == "image;--deep;--;-n;--no-such;");
    BOOST_TEST(!v.deep);
    Line w;
    w.arguments.pass_rest();
    BOOST_TEST(w.arguments.parse({"--", "--image"}));
    BOOST_TEST(joined(w.arguments.rest()) == "--image;");
}

BOOST_AUTO_TEST_CASE(words_fill_their_places_in_order) {
    std::string a, b;
    std::vector<std::string> more;
    const auto parse = [&](std::vector<std::string> words) {
        a = b = "";
        more.clear();
        Arguments arguments("verb", "");
        arguments.word("A", a, "").required();
        arguments.word("B", b, "");
        arguments.words("MORE", more, "").between(0, 2);
        arguments.parse(words);
    };
    parse({"1", "2", "3"});
    BOOST_TEST((a == "1" && b == "2" && joined(more) == "3;"));
    parse({"1"});
    BOOST_TEST((a == "1" && b.empty()));
    BOOST_TEST(holds(message_of([&] { parse({}); }), "verb: A is missing"));
    BOOST_TEST(holds(message_of([&] { parse({"1", "2", "3", "4", "5"}); }), "'verb' does not take the argument '5'"));
}

BOOST_AUTO_TEST_CASE(wrong_options_are_named_with_the_nearest) {
    const auto parse = [](std::vector<std::string> words) { return message_of([&] { Line().arguments.parse(words); }); };
    BOOST_TEST(parse({"--forse=x", "y"}) == "unknown option --forse for 'verb'|Did you mean '--force'? See: singularity help verb");
    BOOST_TEST(holds(parse({"-Fx"}), "unknown option -x for 'verb'"));
    BOOST_TEST(holds(parse({"--name"}), "--name needs a value"));
    BOOST_TEST(holds(parse({"-n"}), "-n needs a value"));
    BOOST_TEST(holds(parse({"--force=perhaps"}), "--force: "));
    BOOST_TEST(holds(parse({"--depth", "deep"}), "--depth: 'deep' is not a number"));
    BOOST_TEST(holds(parse({"--depth", "99999999999999999999"}), "is not a number"));
    BOOST_TEST(holds(parse({"--dept=1"}), "unknown option --dept"));
    BOOST_TEST(!holds(parse({"--dept=1"}), "--depth'"));  // hidden ones are not offered
}

BOOST_AUTO_TEST_CASE(a_value_may_be_one_of_a_few) {
    std::string format;
    Arguments arguments("verb", "");
    arguments.text("--format", format, "").one_of({"json", "text"});
    BOOST_TEST(holds(message_of([&] { arguments.parse({"--format", "jsn"}); }), "--format: 'jsn' is not json or text|Did you mean 'json'?"));
    arguments.parse({"--format", "text"});
    BOOST_TEST(format == "text");
}

BOOST_AUTO_TEST_CASE(commands_below_a_verb_take_its_options_too) {
    bool all = false, deep = false;
    std::string what;
    Arguments top("cache", "The cache");
    top.flag("--all", all, "");
    Arguments& list = top.command("list", "Lists it");
    list.flag("--deep", deep, "");
    list.word("WHAT", what, "");
    top.command("clean", "Empties it");
    BOOST_TEST(top.parse({"list", "--all", "x", "--deep"}));
    BOOST_TEST((all && deep && what == "x"));
    BOOST_TEST(top.chosen().name() == "cache list");
    Arguments other("cache", "");
    other.command("list", "");
    BOOST_TEST(holds(message_of([&] { other.parse({"lst"}); }), "'cache' has no command 'lst'|Did you mean 'list'?"));
    BOOST_TEST(holds(message_of([&] { other.parse({}); }), "'cache' needs a command"));
    BOOST_TEST(!other.parse({"list", "--help"}));
    BOOST_TEST(other.chosen().name() == "cache list");
}

BOOST_AUTO_TEST_CASE(variables_stand_in_for_options_in_both_spellings) {
    const auto binds_with = [](std::vector<std::string> words, bool append) {
        std::vector<std::string> binds;
        Arguments arguments("verb", "");
        arguments.list("-B,--bind", binds, "").variable("BIND,BINDPATH", append);
        arguments.parse(words);
        arguments.apply_variables();
        return joined(binds);
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
    const auto forced = [](const char* value, std::vector<std::string> words = {}) {
        setenv("SINGULARITY_FORCE", value, 1);
        Arguments arguments("verb", "");
        bool force = false;
        arguments.flag("--force", force, "").variable("FORCE");
        arguments.parse(words);
        arguments.apply_variables();
        unsetenv("SINGULARITY_FORCE");
        return force;
    };
    for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"}) BOOST_TEST(forced(yes), yes);
    for (const char* no : {"0", "f", "false", ""}) BOOST_TEST(!forced(no), no);
    BOOST_TEST(!forced("1", {"--force=false"}));
    BOOST_TEST(holds(message_of([&] { forced("perhaps"); }), "SINGULARITY_FORCE: "));
    unsetenv("SINGULARITY_FORCE");
}

BOOST_AUTO_TEST_CASE(an_option_may_set_a_configuration_value) {
    std::string compress;
    Arguments arguments("verb", "");
    arguments.text("--compress", compress, "").sets_key("build.compress");
    arguments.parse({"--compress", "gzip"});
    Settings settings(Settings::defaults().index());
    arguments.apply_keys(settings);
    BOOST_TEST(settings.text("build.compress") == "gzip");
    BOOST_TEST(settings.origin("build.compress").where == "--compress");
}

BOOST_AUTO_TEST_CASE(options_of_plugins_are_read_in_their_order) {
    const std::vector<OptionView> views{{"login", "l", "flag", "LOGIN", "Ask", "p", {}}, {"host", "", "text", "", "", "p", {}},
                                        {"tag", "", "list", "", "", "p", {}},           {"depth", "", "integer", "", "", "p", {}},
                                        {"login", "l", "flag", "LOGIN", "Ask", "q", {}}};  // declared alike by another plugin
    const auto given = [&](std::vector<std::string> words) {
        Arguments arguments("verb", "");
        add_plugin_options(arguments, views, "Options of plugins");
        arguments.parse(words);
        arguments.apply_variables();
        std::string out;
        for (const auto& [k, v] : given_options(arguments, views)) out += k + "=" + v + ";";
        return out;
    };
    BOOST_TEST(given({"--tag", "a", "--login", "--host=h", "--tag", "b"}) == "tag=a;login=true;host=h;tag=b;");
    BOOST_TEST(given({"-l", "-l"}) == "login=true;");
    BOOST_TEST(given({"--login=false"}) == "");
    BOOST_CHECK_THROW(given({"--depth", "deep"}), Error);
    setenv("SINGULARITY_LOGIN", "true", 1);
    BOOST_TEST(given({}) == "login=true;");
    unsetenv("SINGULARITY_LOGIN");
}

BOOST_AUTO_TEST_CASE(help_shows_usage_options_variables_and_examples) {
    Line v;
    std::string compress;
    v.arguments.word("TARGET", v.target, "What to make").required();
    v.arguments.text("--compress", compress, "How").sets_key("build.compress").variable("COMPRESS");
    v.arguments.examples({"singularity verb x"});
    const std::string text = v.arguments.help();
    for (const char* part : {"Usage: singularity verb [options] TARGET\n", "Does things", "-F, --force", "Replace it", "--compress TEXT",
                             "-n, --name, --alias TEXT", "[SINGULARITY_COMPRESS]", "[build.compress]", "-h, --help",
                             "Examples:\n  $ singularity verb x\n"})
        BOOST_TEST(holds(text, part), part);
    BOOST_TEST(!holds(text, "--depth"));
}

BOOST_AUTO_TEST_CASE(a_manual_page_says_what_help_says_and_nothing_in_it_is_a_request) {
    Line v;
    v.arguments.word("TARGET", v.target, ".cfg or 'x' first: \\n is no line").required();
    v.arguments.text("--home", v.name, "SRC[:DEST]").variable("HOME").shown_as("SPEC");
    v.arguments.examples({"singularity verb .x"});
    const std::string page = v.arguments.manual("4.0.0");
    for (const char* part : {".TH \"SINGULARITY\\-VERB\" 1 \"\" \"singularity 4.0.0\"", "\\fBsingularity verb\\fR [options] TARGET\n",
                             "\n\\&.cfg or 'x' first: \\en is no line\n", "\\fB\\-F, \\-\\-force\\fR\nReplace it\n", "\\fB\\-\\-home\\fR \\fISPEC\\fR\n",
                             "[SINGULARITY_HOME]", "\n.BR singularity (1)\n"})
        BOOST_TEST(holds(page, part), part);
    BOOST_TEST(!holds(page, "depth"));
}

BOOST_AUTO_TEST_CASE(completion_knows_options_verbs_below_choices_and_what_values_are) {
    Arguments top("verb", "");
    bool force = false;
    std::string kind, image;
    std::vector<std::string> binds, more;
    top.flag("-F,--force", force, "");
    Arguments& make = top.command("make", "Make it");
    top.command("mend", "Mend it");
    make.text("-k,--kind", kind, "").one_of({"big", "small"});
    make.list("-B,--bind", binds, "").shown_as("SPEC");
    make.word("IMAGE", image, "The image").required();
    make.words("MORE", more, "More").offers("INSTANCE");
    make.flag("--secret", force, "").hidden();
    const auto complete = [&](const std::vector<std::string>& words) {
        std::string out;
        const auto offer = [](std::string_view what, const std::string& word, std::vector<Arguments::Candidate>& to) {
            to.push_back({"<" + std::string(what) + " " + word + ">", ""});
        };
        for (const auto& c : top.complete(words, offer)) out += c.word + ";";
        return out;
    };
    BOOST_TEST(complete({"m"}) == "make;mend;");
    BOOST_TEST(complete({"-"}) == "--force;--help;");
    BOOST_TEST(complete({"make", "-"}) == "--kind;--bind;--force;--help;");
    BOOST_TEST(complete({"make", "--kind", ""}) == "big;small;");
    BOOST_TEST(complete({"make", "-k", "b"}) == "big;small;");
    BOOST_TEST(complete({"make", "--kind=b"}) == "--kind=big;--kind=small;");
    BOOST_TEST(complete({"make", "--bind", "/x"}) == "<SPEC /x>;");
    BOOST_TEST(complete({"make", "--bind=/x"}) == "--bind=<SPEC /x>;");
    BOOST_TEST(complete({"make", "-F", "--kind", "big", "i"}) == "<IMAGE i>;");
    BOOST_TEST(complete({"make", "i", "x", "w"}) == "<INSTANCE w>;");
    BOOST_TEST(complete({"make", "--", "-"}) == "<IMAGE ->;");
    BOOST_TEST(complete({"make", "--nonsense", "i"}) == "<IMAGE i>;");
    BOOST_TEST(complete({"nonsense", ""}) == "");
    BOOST_TEST(complete({}) == "");
}

BOOST_AUTO_TEST_CASE(completion_of_what_runs_containers_ends_at_the_image) {
    const auto complete = [&](const std::string& usage, bool rest, const std::vector<std::string>& words) {
        Arguments arguments("verb", "");
        arguments.usage(usage);
        if (rest) arguments.pass_rest();
        std::string out;
        const auto offer = [](std::string_view what, const std::string&, std::vector<Arguments::Candidate>& to) { to.push_back({std::string(what), ""}); };
        for (const auto& c : arguments.complete(words, offer)) out += c.word + ";";
        return out;
    };
    BOOST_TEST(complete("IMAGE COMMAND [ARGUMENTS]", true, {""}) == "CONTAINER;IMAGE;");
    BOOST_TEST(complete("IMAGE COMMAND [ARGUMENTS]", true, {"x.sif", ""}) == "COMMAND;");
    BOOST_TEST(complete("IMAGE COMMAND [ARGUMENTS]", true, {"x.sif", "ls", "--he"}) == "ARGUMENTS;");
    BOOST_TEST(complete("singularity sign [--key FILE] [options] IMAGE", false, {"x"}) == "IMAGE;");
    BOOST_TEST(complete("singularity sign [--key FILE] [options] IMAGE", false, {"x", ""}) == "");
    BOOST_TEST(complete("singularity key list [--secret] [--json]", false, {""}) == "");
}
