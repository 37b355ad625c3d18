// From a header to debootstrap's command line.
#include "command.hpp"

#include <boost/test/unit_test.hpp>

using namespace debootstrap;

namespace {

singularity::SourceSpec spec(std::vector<std::pair<std::string, std::string>> keys, const std::string& arch = "amd64") {
    singularity::SourceSpec s;
    s.arch = arch;
    s.options = std::move(keys);
    return s;
}

std::string joined(const singularity::SourceSpec& s) {
    std::string out;
    for (const auto& word : command_for(s, "/r")) out += (out.empty() ? "" : " ") + word;
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_release_a_mirror_and_packages) {
    BOOST_TEST(joined(spec({{"osversion", "bookworm"}, {"mirrorurl", "http://m/debian"}, {"include", "curl, vim\tgcc"}})) ==
               "debootstrap --variant=minbase --include=apt,curl,vim,gcc --arch=amd64 bookworm /r http://m/debian");
}

BOOST_AUTO_TEST_CASE(architectures_have_debians_names) {
    BOOST_TEST(joined(spec({{"osversion", "x"}, {"mirrorurl", "http://m/%{OSVERSION}"}}, "ppc64le")) ==
               "debootstrap --variant=minbase --include=apt --arch=ppc64el x /r http://m/x");
}

BOOST_AUTO_TEST_CASE(missing_keys_and_options_in_disguise_are_refused) {
    BOOST_CHECK_THROW(command_for(spec({{"mirrorurl", "http://m"}}), "/r"), singularity::Error);
    BOOST_CHECK_THROW(command_for(spec({{"osversion", "x"}}), "/r"), singularity::Error);
    BOOST_CHECK_THROW(command_for(spec({{"osversion", "--foreign"}, {"mirrorurl", "http://m"}}), "/r"), singularity::Error);
}
