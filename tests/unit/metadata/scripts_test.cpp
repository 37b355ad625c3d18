// The texts of the scripts.
#include "metadata/scripts.hpp"

#include <boost/test/unit_test.hpp>

#include "metadata/oci_scripts.hpp"
#include "support.hpp"

using namespace sg;
using namespace metadata_test;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find('\n', at);
        out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scripts)

BOOST_AUTO_TEST_CASE(the_runscript_of_the_guide_has_its_exact_lines) {
    const auto lines = lines_of(oci_runscript(config_of({"/bin/sh", "-c", "fortune | cowsay | lolcat"}, {})));
    BOOST_TEST(lines[0] == "#!/bin/sh");
    BOOST_TEST(lines[1] == "OCI_ENTRYPOINT='\"/bin/sh\" \"-c\" \"fortune | cowsay | lolcat\"'");
    BOOST_TEST(lines[2] == "OCI_CMD=''");
    BOOST_TEST(lines[lines.size() - 2] == "eval \"set ${SINGULARITY_OCI_RUN}\"");
    BOOST_TEST(lines[lines.size() - 1] == "exec \"$@\"");
}

BOOST_AUTO_TEST_CASE(words_are_escaped_for_both_quotes) {
    const auto lines = lines_of(oci_runscript(config_of({"a\"b", "it's", "$HOME", "`id`", "\\n"}, {"x y"})));
    BOOST_TEST(lines[1] == "OCI_ENTRYPOINT='\"a\\\"b\" \"it'\"'\"'s\" \"\\$HOME\" \"\\`id\\`\" \"\\\\n\"'");
    BOOST_TEST(lines[2] == "OCI_CMD='\"x y\"'");
}

BOOST_AUTO_TEST_CASE(the_environment_has_the_three_forms_of_line) {
    std::vector<std::string> skipped;
    BOOST_TEST(oci_environment(config_of({}, {},
                                         {"PATH=/a:/b", "LANG=C", "BARE", "EMPTY=", "Q=a\"b$c`d\\e", "1X=no", "A B=no",
                                          "=no", "A-B=c"}),
                               &skipped) ==
               "#!/bin/sh\n"
               "export PATH=\"/a:/b\"\n"
               "export LANG=\"${LANG:-\"C\"}\"\n"
               "export BARE=\"${BARE:-}\"\n"
               "export EMPTY=\"${EMPTY:-\"\"}\"\n"
               "export Q=\"${Q:-\"a\\\"b\\$c\\`d\\\\e\"}\"\n");
    BOOST_TEST((skipped == std::vector<std::string>{"1X", "A B", "", "A-B"}));
}

BOOST_AUTO_TEST_CASE(every_image_has_these_scripts) {
    std::vector<std::string> paths;
    for (const Script& s : standard_scripts()) {
        paths.emplace_back(s.path);
        BOOST_TEST(s.text.substr(0, 10) == "#!/bin/sh\n");
        BOOST_TEST(s.text.back() == '\n');
    }
    const char* expected[] = {"actions/exec",   "actions/run",    "actions/shell",         "actions/start",
                              "actions/test",   "env/01-base.sh", "env/90-environment.sh", "env/94-appsbase.sh",
                              "env/95-apps.sh", "env/99-base.sh", "env/99-runtimevars.sh"};
    BOOST_REQUIRE(paths.size() == std::size(expected));
    for (size_t i = 0; i < paths.size(); ++i) BOOST_TEST(paths[i] == std::string(".singularity.d/") + expected[i]);
}

BOOST_AUTO_TEST_SUITE_END()
