#include "endpoint.hpp"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <singularity/error.hpp>

using docker_daemon::Endpoint;
using singularity::Error;

namespace {

Endpoint find(const std::string& given, const std::map<std::string, std::string>& variables = {}) {
    return docker_daemon::find_endpoint(given, [&](const char* name) -> const char* {
        const auto it = variables.find(name);
        return it == variables.end() ? nullptr : it->second.c_str();
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(without_a_word_the_engine_has_its_usual_socket) {
    const Endpoint e = find("");
    BOOST_TEST(e.scheme == "unix");
    BOOST_TEST(e.base == "unix://%2Fvar%2Frun%2Fdocker.sock");
    BOOST_TEST(e.socket == "/var/run/docker.sock");
}

BOOST_AUTO_TEST_CASE(what_is_given_beats_the_variable) {
    BOOST_TEST(find("unix:///a b", {{"DOCKER_HOST", "tcp://h"}}).base == "unix://%2Fa%20b");
    BOOST_TEST(find("/plain/path").base == "unix://%2Fplain%2Fpath");
    BOOST_TEST(find("", {{"DOCKER_HOST", "tcp://h"}}).base == "http://h:2375");
}

BOOST_AUTO_TEST_CASE(tcp_is_http_or_https_by_the_variables) {
    BOOST_TEST(find("tcp://h:99").base == "http://h:99");
    BOOST_TEST(find("tcp://[::1]").base == "http://[::1]:2375");
    BOOST_TEST(find("tcp://h/sub/").base == "http://h:2375/sub");
    const Endpoint checked = find("tcp://h", {{"DOCKER_TLS_VERIFY", "1"}});
    BOOST_TEST(checked.base == "https://h:2376");
    BOOST_TEST(checked.verify);
    const Endpoint unchecked = find("tcp://h:99", {{"DOCKER_CERT_PATH", "/nowhere"}});
    BOOST_TEST(unchecked.base == "https://h:99");
    BOOST_TEST(!unchecked.verify);
    BOOST_TEST(find("https://h").verify);
    BOOST_TEST(find("https://h").base == "https://h");
    BOOST_TEST(find("http://h:1", {{"DOCKER_TLS_VERIFY", "1"}}).base == "http://h:1");
}

BOOST_AUTO_TEST_CASE(certificates_come_from_their_directory_and_a_client_needs_both_files) {
    char name[] = "/tmp/sg-engine-XXXXXX";
    const std::string dir = mkdtemp(name);
    std::ofstream(dir + "/ca.pem") << "x";
    std::ofstream(dir + "/cert.pem") << "x";
    const std::map<std::string, std::string> variables{{"DOCKER_CERT_PATH", dir}, {"DOCKER_TLS_VERIFY", "1"}};
    BOOST_CHECK_THROW(find("tcp://h", variables), Error);
    std::ofstream(dir + "/key.pem") << "x";
    const Endpoint e = find("tcp://h", variables);
    BOOST_TEST(e.ca_file == dir + "/ca.pem");
    BOOST_TEST(e.client_cert == dir + "/cert.pem");
    BOOST_TEST(e.client_key == dir + "/key.pem");
    std::filesystem::remove_all(dir);
}

BOOST_AUTO_TEST_CASE(what_is_no_engines_address_is_refused) {
    for (const char* bad : {"ssh://h", "npipe:////./pipe/x", "fd://", "unix://relative", "unix://", "tcp://", "tcp://:2375", "host:2375", "ftp://h", "tcp://user:secret@h"})
        BOOST_CHECK_THROW(find(bad), Error);
}
