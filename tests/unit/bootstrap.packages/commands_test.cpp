// From a header to what dnf, zypper and pacman are told; and which programs BusyBox may be.
#include <boost/test/unit_test.hpp>

#include "arch/command.hpp"
#include "busybox/program.hpp"
#include "packages/header.hpp"
#include "yum/command.hpp"
#include "zypper/command.hpp"

namespace {

singularity::SourceSpec spec(std::vector<std::pair<std::string, std::string>> options) {
    return {"x", "", "/w", "amd64", "", false, std::move(options)};
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words) out += (out.empty() ? "" : " ") + w;
    return out;
}

// A 64-bit little-endian ELF file of one program header of that type.
std::string elf(unsigned machine, unsigned type) {
    std::string out(64 + 56, '\0');
    out.replace(0, 6, "\177ELF\2\1");
    out[18] = static_cast<char>(machine);
    out[32] = 64, out[54] = 56, out[56] = 1;
    out[64] = static_cast<char>(type);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(dnf_is_told_repositories_release_and_packages) {
    const auto s = spec({{"osversion", "9"}, {"mirrorurl", "http://m/%{OSVERSION}/$basearch"}, {"updateurl", "http://u/%{osversion}"}, {"include", "vim, curl"}, {"setopt", "a=b"}});
    BOOST_TEST(joined(yum::command_for(s, "dnf", "/c", "/r")) ==
               "dnf --noplugins -c /c --installroot /r -y --releasever=9 --setopt=a=b install /etc/redhat-release coreutils vim curl");
    const std::string c = yum::configuration_for(s, "");
    BOOST_TEST(c.find("reposdir=/dev/null\n") != c.npos);
    BOOST_TEST(c.find("baseurl=http://m/9/$basearch\nenabled=1\ngpgcheck=0\n") != c.npos);
    BOOST_TEST(c.find("baseurl=http://u/9\n") != c.npos);
    BOOST_TEST(yum::configuration_for(s, "https://k/key").find("gpgcheck=1\ngpgkey=https://k/key\n") != c.npos);
    BOOST_CHECK_THROW(yum::configuration_for(s, "http://k/key"), singularity::Error);
}

BOOST_AUTO_TEST_CASE(zypper_is_told_repositories_release_and_packages) {
    const auto s = spec({{"osversion", "15"}, {"mirrorurl", "http://m/%{OSVERSION}"}, {"otherurl3", "http://o"}, {"include", "vim"}});
    BOOST_TEST(joined(zypper::install_command(s, "/r")) ==
               "zypper --root /r --non-interactive --gpg-auto-import-keys --releasever=15 install --auto-agree-with-licenses --download-in-advance aaa_base vim");
    const auto repositories = zypper::repositories_for(s);
    BOOST_REQUIRE(repositories.size() == 2u);
    BOOST_TEST(repositories[0].second == "[repo]\nname=repo\nenabled=1\nautorefresh=0\nbaseurl=http://m/15\n");
    BOOST_TEST(repositories[1].first == "repo-3.repo");
    BOOST_CHECK_EXCEPTION(zypper::repositories_for(spec({{"mirrorurl", "http://m"}, {"product", "SLES"}})), singularity::Error,
                          [](const auto& e) { return e.message().find("registration") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(pacman_is_told_a_mirror_and_packages) {
    BOOST_TEST(joined(arch::command_for(spec({}), "/c", "/cache", "/r")) == "pacman --root /r --config /c --cachedir /cache --noconfirm -Sy base");
    BOOST_TEST(joined(arch::command_for(spec({{"include", "base vim"}}), "/c", "/cache", "/r")) == "pacman --root /r --config /c --cachedir /cache --noconfirm -Sy base vim");
    BOOST_TEST(arch::configuration_for(spec({{"mirrorurl", "http://m/"}})).find("[core]\nServer = http://m/$repo/os/$arch\n") != std::string::npos);
    BOOST_TEST(arch::configuration_for(spec({{"mirrorurl", "http://m/$repo"}})).find("Server = http://m/$repo\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(missing_keys_options_in_disguise_and_lines_of_their_own_are_refused) {
    using singularity::Error;
    BOOST_CHECK_THROW(yum::configuration_for(spec({}), ""), Error);
    BOOST_CHECK_THROW(yum::configuration_for(spec({{"mirrorurl", "http://m/%{OSVERSION}"}}), ""), Error);
    BOOST_CHECK_THROW(yum::configuration_for(spec({{"mirrorurl", "http://m\n[evil]"}}), ""), Error);
    BOOST_CHECK_THROW(yum::command_for(spec({{"include", "vim --nogpgcheck"}}), "dnf", "/c", "/r"), Error);
    BOOST_CHECK_THROW(yum::command_for(spec({{"osversion", "-x"}}), "dnf", "/c", "/r"), Error);
    BOOST_CHECK_THROW(zypper::repositories_for(spec({})), Error);
    BOOST_CHECK_THROW(arch::configuration_for(spec({{"mirrorurl", "-m"}})), Error);
}

BOOST_AUTO_TEST_CASE(only_a_program_for_the_machine_that_needs_no_library_is_taken) {
    using singularity::Error;
    BOOST_CHECK_NO_THROW(busybox::check_program(elf(62, 1), "amd64", "x"));
    BOOST_CHECK_THROW(busybox::check_program(elf(62, 3), "amd64", "x"), Error);
    BOOST_CHECK_THROW(busybox::check_program(elf(62, 1), "arm64", "x"), Error);
    BOOST_CHECK_THROW(busybox::check_program("<html>", "amd64", "x"), Error);
    BOOST_CHECK_THROW(busybox::check_program(elf(62, 1).substr(0, 66), "amd64", "x"), Error);
    std::string far = elf(62, 1);
    far.replace(32, 8, 8, '\xff');
    BOOST_CHECK_THROW(busybox::check_program(far, "amd64", "x"), Error);
}
