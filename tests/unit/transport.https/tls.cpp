// https: whom we trust, why we do not, and who we are.
#include "transport.https/https_fixture.hpp"

using namespace fixture;

namespace {

std::string file(const std::string& name) { return certificates() + "/" + name; }

std::vector<std::string> arguments(const std::string& name, bool client = false) {
    std::vector<std::string> a{"--tls", file(name + ".crt"), file(name + ".key")};
    if (client) a.insert(a.end(), {"--client-ca", file("ca.crt")});
    return a;
}

const Server& good_server() {
    static const Server s(arguments("server"));
    return s;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tls)

BOOST_AUTO_TEST_CASE(a_server_of_a_trusted_authority_is_read) {
    for (const char* host : {"localhost", "127.0.0.1"})
        for (const char* target : {"/do/ok?size=3000000", "/do/chunked?n=10000&size=3000000"}) {
            const Got g = ask({.url = good_server().tls(target, host), .ca = file("ca.crt")});
            BOOST_TEST((g.body == good(3000000)), host);
        }
    const Got g = ask({.url = good_server().tls("/do/echo"), .method = "PUT", .body = {std::string(10000000, 'x')}, .body_size = 10000000, .ca = file("ca.crt")});
    BOOST_TEST(contains(g.body, "\"body\": 10000000"));
}

BOOST_AUTO_TEST_CASE(tls_connections_are_kept) {
    const Server own(arguments("server"));
    const auto served = [&] {
        const std::string text = ask({.url = own.tls("/do/echo"), .ca = file("ca.crt")}).body;
        return text.substr(text.find("\"served\""));
    };
    BOOST_TEST(served() == "\"served\": 1}");
    BOOST_TEST(served() == "\"served\": 2}");
}

BOOST_AUTO_TEST_CASE(each_bad_certificate_is_told_with_its_cure) {
    struct Case {
        const char *name, *says, *hint;
    };
    for (const Case& c : {Case{"expired", "expired on 2021-01-01", "clock"}, Case{"self-signed", "is self-signed", "certs.d/localhost:"},
                          Case{"wrong-host", "is for another host (elsewhere.example)", "Use a name"},
                          Case{"other", "comes from an authority that is not trusted here (CN = Tests other-ca)", "SSL_CERT_FILE"}}) {
        const Server bad(arguments(c.name));
        const Error e = failure({.url = bad.tls("/do/ok"), .ca = file("ca.crt")});
        BOOST_TEST((e.code() == Code::network), c.name);
        BOOST_TEST(contains(e.message(), c.says));
        BOOST_TEST(contains(e.hint(), c.hint));
        BOOST_TEST(bad.count("ok") == 0u);
        // Who asks for it gets it without any of these checks.
        BOOST_TEST(ask({.url = bad.tls("/do/ok"), .verify = false}).status == 200u);
    }
    // Without the authority, the good server is not trusted either; a connection of who did not check is not shared.
    BOOST_TEST(ask({.url = good_server().tls("/do/ok"), .verify = false}).status == 200u);
    BOOST_TEST((failure(good_server().tls("/do/ok")).code() == Code::network));
}

BOOST_AUTO_TEST_CASE(authorities_come_from_the_environment) {
    {
        const Variable v("SSL_CERT_FILE", file("ca.crt"));
        BOOST_TEST(ask(good_server().tls("/do/ok")).status == 200u);
    }
    {
        const Scratch directory;
        std::filesystem::copy(file("ca.crt"), directory.path() + "/any-name.pem");
        const Variable v("SSL_CERT_DIR", "/nonexistent:" + directory.path());
        BOOST_TEST(ask(good_server().tls("/do/ok")).status == 200u);
    }
    {
        const Variable v("SSL_CERT_FILE", "/nonexistent/ca.pem");
        BOOST_TEST(contains(failure(good_server().tls("/do/ok")).message(), "/nonexistent/ca.pem: No such file"));
    }
    BOOST_TEST(contains(failure({.url = good_server().tls("/do/ok"), .ca = file("ca.key")}).message(), "no PEM certificate"));
}

BOOST_AUTO_TEST_CASE(authorities_and_client_pairs_come_from_certs_d) {
    const Scratch home;
    const Variable v("HOME", home.path());
    const Server demanding(arguments("server", true));
    const std::string directory = home.path() + "/.config/containers/certs.d/localhost:" + demanding.port();
    std::filesystem::create_directories(directory);
    std::filesystem::copy(file("ca.crt"), directory + "/tests.crt");
    // Trusted, but the server wants to know who asks.
    const Error nobody = failure(demanding.tls("/do/ok"));
    BOOST_TEST((nobody.code() == Code::unauthorized || nobody.code() == Code::network));
    BOOST_TEST(contains(nobody.message(), "client certificate"));
    std::filesystem::copy(file("client.crt"), directory + "/me.cert");
    const Error lonely = failure(demanding.tls("/do/ok"));
    BOOST_TEST((lonely.code() == Code::invalid));
    BOOST_TEST(contains(lonely.message(), "me.cert lacks me.key"));
    std::filesystem::copy(file("client.key"), directory + "/me.key");
    BOOST_TEST(ask(demanding.tls("/do/ok")).status == 200u);
    std::filesystem::remove(directory + "/me.cert");
    BOOST_TEST(contains(failure(demanding.tls("/do/ok")).message(), "me.key lacks me.cert"));
    ::setenv("HOME", "/nonexistent", 1);
}

BOOST_AUTO_TEST_CASE(a_client_pair_is_shown_where_it_was_meant_for_and_nowhere_else) {
    const Server demanding(arguments("server", true));
    const Ask with{.url = demanding.tls("/do/ok"), .ca = file("ca.crt"), .cert = file("client.crt"), .key = file("client.key")};
    BOOST_TEST(ask(with).status == 200u);
    Ask redirected = with;
    redirected.url = good_server().tls("/do/redirect?to=" + demanding.tls("/do/ok"));
    BOOST_TEST(contains(failure(redirected).message(), "client certificate"));
    Ask wrong = with;
    wrong.key = file("server.key");
    BOOST_TEST((failure(wrong).code() == Code::invalid));
}

BOOST_AUTO_TEST_CASE(a_redirect_does_not_leave_tls) {
    const Error e = failure({.url = good_server().tls("/do/redirect?to=" + server().url("/do/ok")), .ca = file("ca.crt")});
    BOOST_TEST((e.code() == Code::permission));
    BOOST_TEST(contains(e.message(), "not secured by TLS"));
    BOOST_TEST(ask({.url = good_server().tls("/do/redirect?to=" + server().url("/do/ok")), .verify = false}).status == 200u);
}

BOOST_AUTO_TEST_CASE(a_server_without_tls_is_told) {
    const Error e = failure({.url = server().tls("/do/ok", "127.0.0.1")});
    BOOST_TEST((e.code() == Code::network));
    BOOST_TEST(contains(e.hint(), "plain http server"));
}

BOOST_AUTO_TEST_CASE(faults_under_tls_are_errors) {
    for (const char* target : {"/do/close?at=500", "/do/reset?at=500", "/do/reset?at=-1", "/do/chunked?fault=cut"})
        BOOST_TEST((failure({.url = good_server().tls(target), .ca = file("ca.crt")}).code() == Code::network), target);
    BOOST_TEST((failure({.url = good_server().tls("/do/stall?at=500"), .idle_ms = 100, .ca = file("ca.crt")}).code() == Code::timeout));
    BOOST_TEST((ask({.url = good_server().tls("/do/open?size=70000"), .ca = file("ca.crt")}).body == good(70000)));
}

BOOST_AUTO_TEST_SUITE_END()
