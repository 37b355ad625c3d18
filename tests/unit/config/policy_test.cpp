#include "config/policy.hpp"

#include <boost/test/unit_test.hpp>

#include "config/compile.hpp"
#include "config/encode.hpp"
#include "scratch.hpp"

using namespace sg;

namespace {

struct World : Scratch {
    // The ruling as "allowed|forbidden KEY RULE LINE", or "" when no rule says anything.
    template <class F>
    std::string ruling(const std::string& yaml, F&& ask) const {
        const std::string file = site("conf.d/10.yaml", yaml);
        const Index index = Index::owning(encode_index(compile_configuration(installation(), home())));
        const auto r = ask(Settings(index));
        if (!r) return "";
        BOOST_TEST(r->where.starts_with(file + ":"));
        return std::string(r->allowed ? "allowed " : "forbidden ") + r->key + " '" + r->rule + "' " +
               r->where.substr(file.size() + 1);
    }
    std::string source(const std::string& yaml, const char* scheme) const {
        return ruling(yaml, [&](const Settings& s) { return policy::on_source(s, scheme); });
    }
    std::string registry(const std::string& rules, const char* name) const {
        return ruling("policy: {registries: {deny: [" + rules + "]}}\n",
                      [&](const Settings& s) { return policy::on_registry(s, name); });
    }
    std::string path(const std::string& rules, const char* name) const {
        return ruling("policy: {paths: {allow: [" + rules + "]}}\n",
                      [&](const Settings& s) { return policy::on_path(s, name); });
    }
};

std::string rule(const char* subject, const char* text) {
    try {
        return policy::canonical_rule(subject, text);
    } catch (const Error& e) {
        return "refused";
    }
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(what_a_deny_list_names_is_forbidden_and_the_line_is_told, World) {
    const char yaml[] = "policy:\n  sources:\n    deny:\n      - shub\n      - docker://\n";
    BOOST_TEST(source(yaml, "docker") == "forbidden policy.sources.deny 'docker' 5");
    BOOST_TEST(source(yaml, "shub") == "forbidden policy.sources.deny 'shub' 4");
    BOOST_TEST(source(yaml, "oras") == "");
}

BOOST_FIXTURE_TEST_CASE(what_an_allow_list_lacks_is_forbidden_and_deny_wins, World) {
    const char yaml[] = "policy:\n  sources:\n    allow: [docker, oras]\n    deny: [oras]\n";
    BOOST_TEST(source(yaml, "docker") == "allowed policy.sources.allow 'docker' 3");
    BOOST_TEST(source(yaml, "oras") == "forbidden policy.sources.deny 'oras' 4");
    BOOST_TEST(source(yaml, "shub") == "forbidden policy.sources.allow '' 3");
    BOOST_TEST(source("policy: {sources: {allow: []}}\n", "shub") == "");
}

BOOST_FIXTURE_TEST_CASE(a_registry_rule_covers_a_host_a_port_and_all_below_a_namespace, World) {
    const auto hit = [&](const char* rules, const char* name) { return !registry(rules, name).empty(); };
    BOOST_TEST(hit("docker.io", "docker.io/library/alpine"));
    BOOST_TEST(hit("Docker.IO", "DOCKER.io/library/alpine"));
    BOOST_TEST(!hit("docker.io", "docker.io.example.org/x"));
    BOOST_TEST(!hit("docker.io", "mydocker.io/x"));
    BOOST_TEST(hit("docker.io/library", "docker.io/library/alpine"));
    BOOST_TEST(hit("docker.io/library/", "docker.io/library"));
    BOOST_TEST(!hit("docker.io/library", "docker.io/library2/alpine"));
    BOOST_TEST(!hit("docker.io/library", "docker.io/other/library/alpine"));
    BOOST_TEST(hit("localhost", "localhost:5000/x"));
    BOOST_TEST(hit("'localhost:5000'", "localhost:5000/x"));
    BOOST_TEST(!hit("'localhost:5000'", "localhost:5001/x"));
    BOOST_TEST(hit("'*.example.org'", "a.b.example.org/x"));
    BOOST_TEST(!hit("'*.example.org'", "example.org/x"));
    BOOST_TEST(!hit("'*.example.org'", "badexample.org/x"));
    BOOST_TEST(hit("'[::1]:5000'", "[::1]:5000/x"));
    BOOST_TEST(hit("evil.org", "user:secret@evil.org/x"));
}

BOOST_FIXTURE_TEST_CASE(a_path_rule_covers_what_is_below_and_patterns_stay_in_one_name, World) {
    BOOST_TEST(path("/opt/images", "/opt/images/a/b.sif").starts_with("allowed"));
    BOOST_TEST(path("/opt/images/", "/opt/images").starts_with("allowed"));
    BOOST_TEST(path("/opt/images", "/opt/images2/b.sif").starts_with("forbidden"));
    BOOST_TEST(path("/home/*/ok", "/home/me/ok/x.sif").starts_with("allowed"));
    BOOST_TEST(path("/home/*/ok", "/home/me/not/ok/x.sif").starts_with("forbidden"));
    BOOST_TEST(path("/opt/*.sif", "/opt/x.sif").starts_with("allowed"));
    BOOST_TEST(path("/", "/anything").starts_with("allowed"));
}

BOOST_FIXTURE_TEST_CASE(one_signer_of_the_allow_list_is_enough_and_one_of_the_deny_list_too_many, World) {
    const std::string a(40, 'A'), b(40, 'B');
    const auto ask = [&](const std::string& yaml, std::vector<std::string> by) {
        return ruling(yaml, [&](const Settings& s) { return policy::on_signers(s, by); });
    };
    BOOST_TEST(ask("policy: {signers: {allow: [" + a + "]}}\n", {b, a}).starts_with("allowed"));
    BOOST_TEST(ask("policy: {signers: {allow: [" + a + "]}}\n", {b}).starts_with("forbidden policy.signers.allow ''"));
    BOOST_TEST(ask("policy: {signers: {allow: [" + a + "]}}\n", {}).starts_with("forbidden"));
    BOOST_TEST(ask("policy: {signers: {deny: [" + a + "]}}\n", {b}) == "");
    BOOST_TEST(ask("policy: {signers: {allow: [" + b + "], deny: [" + a + "]}}\n", {b, a})
                   .starts_with("forbidden policy.signers.deny"));
}

BOOST_AUTO_TEST_CASE(rules_are_written_in_one_form_and_wrong_ones_are_refused) {
    BOOST_TEST(rule("sources", "Docker://") == "docker");
    BOOST_TEST(rule("sources", "a b") == "refused");
    BOOST_TEST(rule("sources", "") == "refused");
    BOOST_TEST(rule("registries", "GHCR.io/Org/") == "ghcr.io/Org");
    for (const char* wrong : {"", "/x", "https://ghcr.io", "ghcr.io//x", "*", "*.", "a*b.org", "a b"})
        BOOST_TEST(rule("registries", wrong) == "refused", wrong);
    for (const char* wrong : {"", "opt", "/a/../b", "/a/./b", "/a//b", "/a/.."})
        BOOST_TEST(rule("paths", wrong) == "refused", wrong);
    BOOST_TEST(rule("paths", "/a/..b") == "/a/..b");
    BOOST_TEST(rule("signers", "0x8883491f4268f173c6e5dc49edece4f3f38d871e") ==
               "8883491F4268F173C6E5DC49EDECE4F3F38D871E");
    BOOST_TEST(rule("signers", "8883 491F 4268 F173 C6E5 DC49 EDEC E4F3 F38D 871E") ==
               "8883491F4268F173C6E5DC49EDECE4F3F38D871E");
    for (const char* wrong : {"", "F38D871E", "8883491F4268F173C6E5DC49EDECE4F3F38D871X"})
        BOOST_TEST(rule("signers", wrong) == "refused", wrong);
}

BOOST_FIXTURE_TEST_CASE(a_wrong_rule_is_an_error_with_its_own_line, World) {
    const std::string file =
        site("conf.d/10.yaml",
             "policy:\n  signers:\n    allow:\n      - 8883491F4268F173C6E5DC49EDECE4F3F38D871E\n      - short\n");
    BOOST_CHECK_EXCEPTION(compile_configuration(installation(), home()), Error, [&](const Error& e) {
        return e.message().starts_with(file + ":5: 'policy.signers.allow': 'short' is no rule");
    });
}
