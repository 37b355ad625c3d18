#include "config/import.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "config/encode.hpp"
#include "config/schema.hpp"
#include "scratch.hpp"

using namespace sg;

namespace {

struct World : Scratch {
    Index index = [] {
        model::Configuration c;
        c.keys = core_schema();
        return Index::owning(encode_index(c));
    }();
    Imported import(const std::string& text) const { return import_configuration(write("file", text), index); }
    // "KEY=VALUE,VALUE" of what was taken and differs from the default.
    std::string taken(const std::string& text) const {
        std::string out;
        for (const auto& t : import(text).taken) {
            if (t.is_default) continue;
            out += (out.empty() ? "" : " ") + t.key + "=";
            for (size_t i = 0; i < t.values.size(); ++i) out += (i ? "," : "") + t.values[i];
        }
        return out;
    }
    std::string failure(const std::string& text) const {
        try {
            import(text);
        } catch (const Error& e) {
            return e.message().substr(path().size() + 1);
        }
        return "none";
    }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(directives_become_keys_and_defaults_stay_out, World) {
    BOOST_TEST(taken("mount home = yes\nmount tmp = no\nmount dev = minimal\n") == "mount.tmp=false mount.dev=minimal");
    BOOST_TEST(taken("  bind path=/a \nbind path = /b:/c:ro\n#bind path = /d\nbind path = /a\n") ==
               "bind.paths=/a,/b:/c:ro");
    BOOST_TEST(taken("limit container paths = NULL\nlimit container paths = /a, /b/\n") == "policy.paths.allow=/a,/b");
    BOOST_TEST(taken("sessiondir max size = 16\nsessiondir max size = 32\n") == "session.size=32");
    BOOST_TEST(taken("enable overlay = driver\n") == "");
    BOOST_TEST(taken("") == "");
}

BOOST_FIXTURE_TEST_CASE(what_is_not_needed_has_a_reason_and_what_is_missed_wants_attention, World) {
    const Imported i = import(
        "max loop devices = 256\nallow container dir = no\nallow container sif = yes\nlimit container owners = "
        "ann\nlimit container groups = NULL\nnew = 1\n");
    BOOST_REQUIRE(i.left.size() == 6);
    const bool attention[] = {false, true, false, true, false, true};
    for (size_t n = 0; n < 6; ++n) {
        BOOST_TEST(i.left[n].wants_attention == attention[n], i.left[n].from);
        BOOST_TEST(!i.left[n].reason.empty());
        BOOST_TEST(i.left[n].from.find(":" + std::to_string(n + 1) + ": ") != std::string::npos);
    }
}

BOOST_FIXTURE_TEST_CASE(the_value_of_an_unknown_directive_is_not_repeated, World) {
    const Imported i = import("API_TOKEN = secret\nmount hme = no\n");
    BOOST_REQUIRE(i.left.size() == 2);
    BOOST_TEST(imported_yaml(i, "file").find("secret") == std::string::npos);
    BOOST_TEST(i.left[1].reason.find("mount home") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(an_execution_control_list_becomes_rules, World) {
    const std::string a(40, 'A'), b(40, 'B');
    const auto group = [](const std::string& mode, const std::string& keys, const std::string& directory) {
        return "[[execgroup]]\ntagname = \"g\"\nmode = \"" + mode + "\"\ndirpath = \"" + directory + "\"\nkeyfp = [" +
               keys + "]\n";
    };
    const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
    BOOST_TEST(taken("activated = true\n" + group("whitelist", quoted(a), "")) == "policy.signers.allow=" + a);
    BOOST_TEST(
        taken("activated = true\n" + group("whitelist", quoted(a), "/x") + group("blacklist", quoted(b), "/y")) ==
        "policy.signers.allow=" + a + " policy.signers.deny=" + b + " policy.paths.allow=/x,/y");
    // One group holds everywhere, so no directory is a limit.
    BOOST_TEST(taken("activated = true\n" + group("whitelist", quoted(a), "/x") + group("whitelist", quoted(b), "")) ==
               "policy.signers.allow=" + a + "," + b);
    BOOST_TEST(taken("activated = false\n" + group("whitelist", quoted(a), "/x")) == "");
    const Imported strict = import("activated = true\n" + group("whitestrict", quoted(a) + "," + quoted(b), "/x"));
    BOOST_REQUIRE(strict.left.size() == 1);
    BOOST_TEST(strict.left[0].wants_attention);
}

BOOST_FIXTURE_TEST_CASE(a_wrong_file_is_refused_with_its_line, World) {
    BOOST_TEST(failure("mount home = yes\nmount tmp\n").starts_with("file:2: "));
    const std::string form = "file:1: the line is not of the form 'key = value'";
    BOOST_TEST(failure("{\"auths\": {\"a.org\": {\"auth\": \"c2VjcmV0\"}}}") == form);
    BOOST_TEST(failure("{\"auths\": {\"a.org\": {\"auth\": \"c2VjcmV0Cg==\"}}}") == form);
    BOOST_TEST(failure("= yes\n") == form);
    BOOST_TEST(failure(std::string(100000, 'a') + "= yes\n") == form);
    BOOST_TEST(failure("mount home = perhaps\n").starts_with("file:1: mount home = perhaps"));
    BOOST_TEST(failure("limit container paths = here\n").starts_with("file:1: "));
    BOOST_TEST(failure("activated = 1\n").starts_with("file:1: 'activated'"));
    BOOST_TEST(failure("activated = true\n[[execgroup]]\nmode = \"no\"\n").starts_with("file:"));
    BOOST_TEST(
        failure("activated = true\n[[execgroup]]\nmode = \"whitelist\"\nkeyfp = [\"short\"]\n").starts_with("file:"));
    BOOST_TEST(failure("activated = true\nexecgroup = 3\n").starts_with("file:2: "));
    BOOST_TEST(failure("activated = = 3\n").starts_with("file:1: "));
    BOOST_TEST(failure(std::string("mount\0 = x\n", 11)) == "file: is no text file");
    BOOST_TEST(failure(std::string((1 << 20) + 10, '#')) == "file: is larger than 1 MiB");
}

BOOST_FIXTURE_TEST_CASE(the_result_is_a_configuration_file_that_means_the_same, World) {
    const std::string text =
        "mount tmp = no\nbind path = /a:/it's, odd\nlimit container paths = /x*\nroot default capabilities = no\nmount "
        "home = \x01no\n";
    BOOST_TEST(failure(text).starts_with("file:5: "));
    const Imported i = import(text.substr(0, text.rfind("mount home")) + "max loop devices = \x1b[31m\n");
    const std::string yaml = imported_yaml(i, "file");
    BOOST_TEST(yaml.find('\x1b') == std::string::npos);
    BOOST_TEST(yaml.find("mount.tmp: no\n") != std::string::npos);
    BOOST_TEST(yaml.find("bind.paths: ['/a:/it''s, odd']\n") != std::string::npos);
    BOOST_TEST(yaml.find("root.default_capabilities: no\n") != std::string::npos);
}
