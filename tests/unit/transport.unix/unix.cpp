// The transport "unix" over the C boundary: HTTP over a local socket.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "transport.family/transport_fixture.hpp"

using namespace fixture;

namespace {

[[maybe_unused]] const OwnEnvironment own_environment;

const sg_transport_v1& table() {
    static const auto* t = static_cast<const sg_transport_v1*>(load_plugin(PLUGIN_OBJECT)->table("unix", "transport", 1));
    if (!t) throw std::runtime_error("no table");
    return *t;
}

Error failure(Ask a, const sg_call* call = nullptr) {
    return error_of([&] { ask(table(), std::move(a), call); });
}

std::string url_of(const std::string& socket, const std::string& target = "/do/ok") {
    std::string out = "unix://";
    for (const char c : socket) {
        char escaped[4];
        std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
        out += std::isalnum(static_cast<unsigned char>(c)) ? std::string(1, c) : std::string(escaped);
    }
    return out + target;
}

// A server on a socket whose name has capitals and blanks, which an ordinary host name has not.
struct SocketServer {
    Scratch directory;
    std::string path = directory.path() + "/An engine's.sock";
    Server server{{"--unix", path}};
    std::string url(const std::string& target) const { return url_of(path, target); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(unix_transport)

BOOST_AUTO_TEST_CASE(requests_go_over_the_socket) {
    const SocketServer s;
    BOOST_TEST((ask(table(), {.url = s.url("/do/ok?size=3000000")}).body == good(3000000)));
    BOOST_TEST((ask(table(), {.url = s.url("/do/chunked?size=100000")}).body == good(100000)));
    const Got put = ask(table(), {.url = s.url("/do/echo?a=%2F"), .method = "PUT", .headers = {{"X-Registry-Auth", "abc", 1}}, .body = {"hel", "lo"}});
    BOOST_TEST(contains(put.body, R"("target": "/do/echo?a=%2F")"));
    BOOST_TEST(contains(put.body, R"(["X-Registry-Auth", "abc"])"));
    BOOST_TEST(contains(put.body, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
    BOOST_TEST(contains(put.body, R"(["Host", "localhost"])"));
    BOOST_TEST(ask(table(), {.url = s.url("/do/status?code=404")}).status == 404u);
    BOOST_TEST(ask(table(), {.url = s.url("/do/redirect?to=/do/ok")}).status == 302u);
    BOOST_TEST(ask(table(), {.url = s.url("/do/ok"), .begin = 100}).status == 206u);
    BOOST_TEST(ask(table(), {.url = s.url("/do/ok"), .begin = 100}).url == s.url("/do/ok"));
}

BOOST_AUTO_TEST_CASE(why_the_socket_cannot_be_had_reaches_the_source) {
    const Scratch d;
    const Error none = failure({.url = url_of(d.path() + "/none.sock")});
    BOOST_TEST((none.code() == Code::not_found));
    BOOST_TEST(none.sys_errno() == ENOENT);
    BOOST_TEST(contains(none.message(), "cannot connect to the socket " + d.path() + "/none.sock: No such file or directory"));
    // A socket that nobody listens at, and a file that is none.
    const std::string dead = d.path() + "/dead.sock";
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::snprintf(a.sun_path, sizeof a.sun_path, "%s", dead.c_str());
    BOOST_REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    BOOST_TEST(failure({.url = url_of(dead)}).sys_errno() == ECONNREFUSED);
    BOOST_TEST(failure({.url = url_of(d.write("file", ""))}).sys_errno() == ECONNREFUSED);
    if (::geteuid() != 0) {
        BOOST_REQUIRE(::chmod(dead.c_str(), 0) == 0);
        const Error denied = failure({.url = url_of(dead)});
        BOOST_TEST((denied.code() == Code::permission));
        BOOST_TEST(denied.sys_errno() == EACCES);
    }
    // A full queue is waited for, and not for ever.
    BOOST_REQUIRE(::listen(fd, 0) == 0);
    const int first = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BOOST_REQUIRE(::connect(first, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    BOOST_TEST((failure({.url = url_of(dead), .connect_ms = 100}).code() == Code::timeout));
    ::close(first);
    ::close(fd);
}

BOOST_AUTO_TEST_CASE(a_silent_engine_ends_with_time_or_cancel) {
    const SocketServer s;
    const Error e = failure({.url = s.url("/do/stall?at=-1"), .idle_ms = 100});
    BOOST_TEST((e.code() == Code::timeout));
    BOOST_TEST(contains(e.hint(), "unix.idle_timeout"));
    const SocketServer other;
    sg_call call;
    std::thread canceller([&] {
        other.server.until_asked("stall");
        call.cancel();
    });
    BOOST_TEST((failure({.url = other.url("/do/stall?at=10")}, &call).code() == Code::cancelled));
    canceller.join();
}

BOOST_AUTO_TEST_CASE(what_is_no_url_of_a_socket_is_refused) {
    for (const char* url : {"", "unix://", "unix:///version", "unix://relative.sock/x", "unix:/x", "http://h/", "unix://%2Fa%00b/x", "unix://%2Fa/x\r\ny"})
        BOOST_TEST((failure({.url = url}).code() == Code::invalid), url);
    BOOST_TEST(contains(failure({.url = url_of("/" + std::string(200, 'x'))}).message(), "longer than 107 bytes"));
}

BOOST_AUTO_TEST_SUITE_END()
