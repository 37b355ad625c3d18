#include "runtime/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "base/error.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(environment)

namespace {

Environment from(const LaunchOptions& o, std::vector<const char*> environ_texts) {
    environ_texts.push_back(nullptr);
    return container_environment(o, {"/images/x.sif", "/home/ann", {"/data", "/mnt"}}, environ_texts.data());
}

std::string value(const Environment& e, const std::string& name) {
    for (const auto& text : e.host)
        if (text.compare(0, name.size() + 1, name + "=") == 0) return text.substr(name.size() + 1);
    return "(unset)";
}

std::string override_of(const Environment& e, const std::string& name) {
    for (const auto& [k, v] : e.overrides)
        if (k == name) return v;
    return "(unset)";
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_hosts_variables_pass_except_those_that_never_do) {
    const auto e = from({}, {"FOO=1", "PATH=/host", "HOME=/elsewhere", "LD_LIBRARY_PATH=/lib", "SINGULARITY_BIND=/x", "APPTAINER_Q=1",
                             "BASH_FUNC_f%%=() { :; }", "EMPTY=", "odd"});
    BOOST_TEST(value(e, "FOO") == "1");
    BOOST_TEST(value(e, "EMPTY") == "");
    BOOST_TEST(value(e, "PATH") == default_path);
    BOOST_TEST(value(e, "HOME") == "/home/ann");
    BOOST_TEST(value(e, "LD_LIBRARY_PATH") == "(unset)");
    BOOST_TEST(value(e, "APPTAINER_Q") == "(unset)");
    BOOST_TEST(value(e, "BASH_FUNC_f%%") == "(unset)");
    BOOST_TEST(value(e, "USER_PATH") == "/host");
}

BOOST_AUTO_TEST_CASE(what_the_site_sets_comes_first_and_may_be_locked) {
    LaunchOptions o;
    o.environment = {{"A", "user"}};
    const char* some[] = {"SINGULARITYENV_B=variable", nullptr};
    std::string refused;
    const SiteEnvironment site{{{"A", "site"}, {"B", "site"}, {"C", "site"}, {"PATH", "/site"}},
                               [&](const std::string& where) { refused += where + ";"; }};
    const auto e = container_environment(o, {"/x.sif", "/home/ann", {}}, some, site);
    BOOST_TEST(override_of(e, "A") == "user");
    BOOST_TEST(override_of(e, "B") == "variable");
    BOOST_TEST(override_of(e, "C") == "site");
    BOOST_TEST(override_of(e, "SING_USER_DEFINED_PATH") == "/site");
    BOOST_TEST(refused == "SINGULARITYENV_B;--env A;");
    refused.clear();
    o.environment = {{"A", "site"}, {"D", "x"}};
    container_environment(o, {"/x.sif", "/home/ann", {}}, some + 1, site);
    BOOST_TEST(refused == "");
}

BOOST_AUTO_TEST_CASE(the_container_is_described_under_both_prefixes) {
    LaunchOptions o;
    o.action = "exec";
    const auto e = from(o, {});
    for (const std::string prefix : {"SINGULARITY_", "APPTAINER_"}) {
        BOOST_TEST(value(e, prefix + "CONTAINER") == "/images/x.sif");
        BOOST_TEST(value(e, prefix + "NAME") == "x.sif");
        BOOST_TEST(value(e, prefix + "BIND") == "/data,/mnt");
        BOOST_TEST(value(e, prefix + "COMMAND") == "exec");
        BOOST_TEST(value(e, prefix + "NO_EVAL") == "(unset)");
    }
}

BOOST_AUTO_TEST_CASE(a_clean_environment_keeps_the_terminal_and_the_proxies) {
    LaunchOptions o;
    o.clean_environment = true;
    const auto e = from(o, {"FOO=1", "TERM=xterm", "https_proxy=p", "NO_PROXY=q", "LANG=de_DE", "SINGULARITYENV_BAR=2"});
    BOOST_TEST(value(e, "FOO") == "(unset)");
    BOOST_TEST(value(e, "TERM") == "xterm");
    BOOST_TEST(value(e, "https_proxy") == "p");
    BOOST_TEST(value(e, "NO_PROXY") == "q");
    BOOST_TEST(value(e, "LANG") == "C");
    BOOST_TEST(override_of(e, "BAR") == "2");
}

BOOST_AUTO_TEST_CASE(overrides_come_from_prefixes_files_and_options_in_this_order) {
    LaunchOptions o;
    o.file_environment = {{"B", "file"}, {"C", "file"}};
    o.environment = {{"C", "option"}};
    const auto e = from(o, {"APPTAINERENV_A=apptainer", "SINGULARITYENV_A=singularity", "SINGULARITYENV_B=variable"});
    BOOST_TEST(override_of(e, "A") == "apptainer");
    BOOST_TEST(override_of(e, "B") == "file");
    BOOST_TEST(override_of(e, "C") == "option");
}

BOOST_AUTO_TEST_CASE(path_overrides_are_left_to_the_last_script) {
    const auto e = from({}, {"SINGULARITYENV_PREPEND_PATH=/p", "SINGULARITYENV_APPEND_PATH=/q", "SINGULARITYENV_PATH=/r", "SINGULARITYENV_LD_LIBRARY_PATH=/l"});
    BOOST_TEST(override_of(e, "SING_USER_DEFINED_PREPEND_PATH") == "/p");
    BOOST_TEST(override_of(e, "SING_USER_DEFINED_APPEND_PATH") == "/q");
    BOOST_TEST(override_of(e, "SING_USER_DEFINED_PATH") == "/r");
    BOOST_TEST(override_of(e, "LD_LIBRARY_PATH") == "/l:/.singularity.d/libs");
}

BOOST_AUTO_TEST_CASE(home_cannot_be_overridden) {
    const auto e = from({}, {"SINGULARITYENV_HOME=/x"});
    BOOST_TEST(override_of(e, "HOME") == "(unset)");
    BOOST_TEST(e.warnings.size() == 1u);
    BOOST_TEST(e.warnings.at(0).find("Overriding HOME environment variable with SINGULARITYENV_HOME is not permitted") == 0u);
}

BOOST_AUTO_TEST_CASE(no_eval_and_no_env_are_honoured) {
    LaunchOptions o;
    o.no_eval = true;
    o.no_environment = {"SECRET"};
    const auto e = from(o, {"SECRET=1", "OTHER=2"});
    BOOST_TEST(!e.evaluate);
    BOOST_TEST(value(e, "SINGULARITY_NO_EVAL") == "1");
    BOOST_TEST(value(e, "SECRET") == "(unset)");
    BOOST_TEST(value(e, "OTHER") == "2");
}

BOOST_AUTO_TEST_CASE(env_options_may_hold_commas_in_values) {
    const auto p = parse_env_option("A=1,2,B=3");
    BOOST_TEST(p.size() == 2u);
    BOOST_TEST(p[0].second == "1,2");
    BOOST_TEST(p[1].second == "3");
    BOOST_CHECK_THROW(parse_env_option("nonsense"), Error);
    BOOST_CHECK_EXCEPTION(parse_env_option("a.b=1"), Error, [](const Error& e) { return e.message().find("'a.b' is no name of a variable") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(an_environment_file_is_evaluated) {
    char name[] = "/tmp/sg-env-XXXXXX";
    const int fd = mkstemp(name);
    BOOST_REQUIRE(fd >= 0);
    close(fd);
    std::ofstream(name) << "A='x y'\nB=\"${A}z\"\n# comment\nexport C=$((1+1))\n";
    const char* const none[] = {nullptr};
    std::vector<Pair> p = read_env_file(name, none);
    const auto get = [&](const std::string& k) {
        const auto it = std::find_if(p.begin(), p.end(), [&](const Pair& x) { return x.first == k; });
        return it == p.end() ? std::string("(unset)") : it->second;
    };
    BOOST_TEST(get("A") == "x y");
    BOOST_TEST(get("B") == "x yz");
    BOOST_TEST(get("C") == "2");
    BOOST_TEST(get("PATH") == "(unset)");
    // Variables of the host can be used; only what the file assigns is set, be the value the host's.
    const char* const host[] = {"HOME=/home/ann", "SAME=it's \"this\"", "OTHER=1", "PATH=/nowhere", "UID=7", "PPID=1", "B.D=1", "LIST=x", nullptr};
    std::ofstream(name) << "DATA=$HOME/data\nSAME=$SAME\necho printed\nPATH=$PATH:/more\nunset LIST\nARGS=$#$1\n";
    p = read_env_file(name, host);
    BOOST_TEST(get("DATA") == "/home/ann/data");
    BOOST_TEST(get("SAME") == "it's \"this\"");
    BOOST_TEST(get("PATH") == "/nowhere:/more");
    BOOST_TEST(get("ARGS") == "0");
    BOOST_TEST(p.size() == 4u);
    std::ofstream(name) << "";
    BOOST_TEST(read_env_file(name, host).empty());
    std::ofstream(name) << "if then\n";
    BOOST_CHECK_THROW(read_env_file(name, none), Error);
    std::ofstream(name) << "A=two words-no-such-program\n";
    BOOST_CHECK_EXCEPTION(read_env_file(name, host), Error, [](const Error& e) { return e.hint().find("quotes") != std::string::npos; });
    unlink(name);
    BOOST_CHECK_THROW(read_env_file(name, none), Error);
    BOOST_CHECK_EXCEPTION(read_env_file("/tmp", none), Error, [](const Error& e) { return e.message().find("is a directory") != std::string::npos; });
}

BOOST_AUTO_TEST_SUITE_END()
