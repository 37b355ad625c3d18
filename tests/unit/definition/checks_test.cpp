#include "support.hpp"

#include "definition/secrets.hpp"

using namespace sg::definition;

namespace {

// "rule:line rule:line" of what is found.
std::string found(const std::string& text, const Arguments& arguments = {}) {
    std::string out;
    for (const auto& f : check(parsed(text, arguments), arguments))
        out += (out.empty() ? "" : " ") + f.rule + ":" + std::to_string(f.at.line);
    return out;
}

const std::string with_run = head + "%runscript\n exec x\n";

}  // namespace

BOOST_AUTO_TEST_CASE(a_good_definition_gives_no_findings) {
    BOOST_TEST(found(with_run + "%post\n apt-get -y install make\n cd /tmp && make && make install\n ldconfig\n rm -rf /tmp/x\n%environment\n export PATH=/opt/bin:$PATH\n") == "");
}

BOOST_AUTO_TEST_CASE(a_missing_runscript_is_told) {
    BOOST_TEST(found(head) == "no-runscript:1");
    BOOST_TEST(found(head + "%runscript\n # nothing\n") == "no-runscript:1");
}

BOOST_AUTO_TEST_CASE(files_where_the_users_own_directories_lie_are_told) {
    BOOST_TEST(found(with_run + "%files\n a /root/b\n c /tmp\n d /rootless\n /home/me/x\n e /opt/x\n") == "home-files:6 home-files:7 home-files:9");
    BOOST_TEST(found(with_run + "%post\n echo x > $HOME/y\n cp a b ~/c\n git clone http://x /root/z\n tar xf a -C ~\n cp a /opt\n # cp a /root\n") == "home-files:6 home-files:7 home-files:8 home-files:9");
}

BOOST_AUTO_TEST_CASE(libraries_without_ldconfig_are_told) {
    BOOST_TEST(found(with_run + "%post\n cd x\n make install\n") == "no-ldconfig:7");
    BOOST_TEST(found(with_run + "%post\n apt-get install make gcc\n") == "");
    BOOST_TEST(found(with_run + "%post\n make install\n ldconfig\n") == "");
}

BOOST_AUTO_TEST_CASE(variables_in_profiles_are_told) {
    BOOST_TEST(found(with_run + "%post\n echo 'export A=1' >> ~/.bashrc\n echo x >>/etc/profile.d/y.sh\n") == "bashrc-environment:6 bashrc-environment:7");
}

BOOST_AUTO_TEST_CASE(secrets_are_told_and_not_shown) {
    BOOST_TEST(found(with_run + "%environment\n export DB_PASSWORD=hunter22\n export B_PASSWORD=$X\n") == "password:6");
    for (const auto& f : check(parsed(with_run + "%post\n export TOKEN=abcdef123\n"), {})) BOOST_TEST(!has(f.message, "abcdef123"));
    BOOST_TEST(found(with_run + "%post\n echo {{ TOKEN }}\n", {{{"TOKEN", "x"}}}) == "password:0");
}

BOOST_AUTO_TEST_CASE(what_a_secret_looks_like) {
    for (const char* line : {"password=abcd1", "export API_KEY='abcd1'", "curl --password hunter2x", "git clone https://me:pass1@host/x", "-----BEGIN RSA PRIVATE KEY-----", "token: abcd1234"})
        BOOST_TEST(find_secret(line) != std::string_view::npos, line);
    for (const char* line : {"password=$1", "PASSWORD_FILE=/run/x", "echo enter the password: ", "https://host:8080/x", "https://me@host", "token={{ T }}", "read password", "passwd root", "tokenizers==0.13.3", "export TOKEN=${TOKEN}"})
        BOOST_TEST(find_secret(line) == std::string_view::npos, line);
}

BOOST_AUTO_TEST_CASE(a_comment_silences_a_rule) {
    BOOST_TEST(found("# lint: allow no-runscript\n" + head) == "");
    BOOST_TEST(found("# lint: allow home-files, no-runscript\n" + head + "%files\n a /root/b\n") == "");
    BOOST_TEST(found(with_run + "%files\n# lint: allow home-files\n# why\n a /root/b\n c /root/d\n") == "home-files:9");
    BOOST_TEST(found(with_run + "%post\n make install # lint: allow no-ldconfig\n") == "");
    BOOST_TEST(found(with_run + "%post\n make install # lint: allow password\n") == "no-ldconfig:6");
}

BOOST_AUTO_TEST_CASE(every_rule_that_is_found_is_listed) {
    const std::string all = head + "From: y\nMirrorURL: x\n%post\n make install\n cp a b /root\n echo >> ~/.bashrc\n PASSWORD=abcd1\n%labels\n x\n%files\n a b c\n";
    for (const auto& f : check(parsed(all, {{{"Z", "1"}}, true}), {})) {
        bool listed = false;
        for (const Rule& r : rules()) listed = listed || r.name == f.rule;
        BOOST_TEST(listed, f.rule);
    }
}
