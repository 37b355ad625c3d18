// Requests to a registry: schemes, authentication, tries.
#include "registry/client.hpp"

#include <thread>

#include "fake_clock.hpp"
#include "fake_registry.hpp"

using namespace fake;
using fixture::contains;
using fixture::error_of;
using registry::Client;
using registry::Endpoint;

namespace {

struct Desk : World {
    FakeClock clock;
    std::shared_ptr<registry::Accounts> accounts = std::make_shared<registry::Accounts>(singularity::SourceSpec{});
    Client client(std::vector<std::string> schemes = {"https"}, const std::string& at = "r.org") {
        Endpoint e;
        e.host = at;
        e.repository = "a/b";
        e.shown = at + "/a/b";
        e.server = at + "/a/b";
        e.schemes = std::move(schemes);
        return Client(e, accounts, clock);
    }
    registry::Request get(const std::string& path = "/v2/a/b/manifests/latest") {
        registry::Request r;
        r.url = path;
        return r;
    }
    unsigned status(Client& c) { return c.send(get(), host).status(); }
};

Reply unauthorized(const std::string& challenge) { return {401, "", {{"WWW-Authenticate", challenge}}}; }
const std::string bearer = R"(Bearer realm="https://auth.org/token",service="r",scope="repository:a/b:pull")";

// A registry that wants one of the tokens that its token server gives: "t1", "t2", ...
struct TokenServer {
    int given = 0;
    std::string wanted = "t1", challenge = bearer;
    Reply operator()(const Seen& s) {
        if (s.url.rfind("https://auth.org/", 0) == 0)
            return {200, R"({"token":"t)" + std::to_string(++given) + R"(","expires_in":100})", {}};
        if (s.header("Authorization") == "Bearer " + wanted) return {200, "ok", {}};
        return unauthorized(challenge);
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(clients)

BOOST_AUTO_TEST_CASE(an_open_registry_gets_one_request) {
    Desk d;
    answer = [](const Seen&) -> Reply { return {200, "", {}}; };
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
    BOOST_REQUIRE(seen.size() == 1u);
    BOOST_TEST(seen[0].url == "https://r.org/v2/a/b/manifests/latest");
    BOOST_TEST(seen[0].header("Authorization") == "");
}

BOOST_AUTO_TEST_CASE(a_token_is_fetched_once_and_kept_until_it_ends) {
    Desk d;
    TokenServer server;
    answer = std::ref(server);
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(seen.size() == 3u);  // refused, token, granted
    BOOST_TEST(seen[1].url == "https://auth.org/token?service=r&scope=repository%3Aa%2Fb%3Apull");
    BOOST_TEST(seen[1].header("Authorization") == "");
    BOOST_TEST(seen[2].is_secret("Authorization"));
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(seen.size() == 4u);
    d.clock.time += 100;
    server.wanted = "t2";
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(seen.size() == 7u);
}

BOOST_AUTO_TEST_CASE(a_token_that_the_server_no_longer_likes_is_replaced_once) {
    Desk d;
    TokenServer server;
    answer = std::ref(server);
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
    server.wanted = "t2";
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(server.given == 2);
    server.wanted = "never";
    seen.clear();
    BOOST_TEST(d.status(c) == 401u);
    BOOST_TEST(server.given == 3);  // one more, and then it is told
}

BOOST_AUTO_TEST_CASE(a_server_that_never_stops_asking_is_left) {
    Desk d;
    TokenServer server;
    server.wanted = "never";
    server.challenge = bearer + R"(,error="insufficient_scope")";
    answer = std::ref(server);
    Client c = d.client();
    BOOST_TEST(d.status(c) == 401u);
    BOOST_TEST(seen.size() <= 5u);
    credentials["r.org/a/b"] = who("u", "wrong");
    answer = [](const Seen&) { return unauthorized("Basic realm=x"); };
    Desk other;
    credentials["r.org/a/b"] = who("u", "wrong");
    answer = [](const Seen&) { return unauthorized("Basic realm=x"); };
    Client basic = other.client();
    BOOST_TEST(other.status(basic) == 401u);
    BOOST_TEST(seen.size() == 2u);
}

BOOST_AUTO_TEST_CASE(other_scopes_are_asked_for_when_the_server_names_them) {
    Desk d;
    answer = [](const Seen& s) -> Reply {
        if (s.url.rfind("https://auth.org/", 0) == 0)
            return {200, s.url.find("other") != std::string::npos ? R"({"token":"big"})" : R"({"token":"small"})", {}};
        if (s.header("Authorization") == "Bearer big") return {200, "", {}};
        return unauthorized(R"(Bearer realm="https://auth.org/token",service="r",scope="repository:other:pull",error="insufficient_scope")");
    };
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
}

BOOST_AUTO_TEST_CASE(passwords_go_to_the_token_server_and_to_basic_registries_alone) {
    Desk d;
    credentials["r.org/a/b"] = who("u", "sesame");
    TokenServer server;
    answer = std::ref(server);
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(seen[1].header("Authorization") == "Basic dTpzZXNhbWU=");
    BOOST_TEST(seen[1].is_secret("Authorization"));
    BOOST_TEST(contains(seen[1].url, "account=u"));
    BOOST_TEST(seen[2].header("Authorization") == "Bearer t1");
    BOOST_TEST(d.silent_about("sesame"));
    BOOST_TEST(d.silent_about("t1"));

    Desk basic;
    credentials["r.org/a/b"] = who("u", "sesame");
    answer = [](const Seen& s) { return s.header("Authorization") == "Basic dTpzZXNhbWU=" ? Reply{200, "", {}} : unauthorized("Basic realm=\"x\""); };
    Client b = basic.client();
    BOOST_TEST(basic.status(b) == 200u);
    BOOST_TEST(basic.status(b) == 200u);
    BOOST_TEST(seen.size() == 3u);
    // A URL of somebody else, as an upload may lead to, gets none of it.
    registry::Request elsewhere;
    elsewhere.url = "https://cdn.org/x";
    b.send(elsewhere, basic.host);
    BOOST_TEST(seen.back().header("Authorization") == "");
}

BOOST_AUTO_TEST_CASE(an_identity_token_is_posted_and_get_is_the_way_back) {
    Desk d;
    credentials["r.org/a/b"] = who("<token>", "", "refresh me");
    bool knows_post = true;
    answer = [&](const Seen& s) -> Reply {
        if (s.url.rfind("https://auth.org/token", 0) == 0) {
            if (s.method == "POST" && !knows_post) return {404, "", {}};
            return {200, R"({"access_token":"t"})", {}};
        }
        return s.header("Authorization") == "Bearer t" ? Reply{200, "", {}} : unauthorized(bearer);
    };
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(seen[1].body ==
               "grant_type=refresh_token&refresh_token=refresh%20me&service=r&scope=repository%3Aa%2Fb%3Apull&client_id=singularity");
    BOOST_TEST(seen[1].url == "https://auth.org/token");
    knows_post = false;
    Client again = d.client();
    BOOST_TEST(d.status(again) == 200u);
    BOOST_TEST(d.silent_about("refresh"));
}

BOOST_AUTO_TEST_CASE(a_registry_token_is_sent_as_it_is) {
    Desk d;
    credentials["r.org/a/b"] = who("", "given");
    answer = [](const Seen& s) { return s.header("Authorization") == "Bearer given" ? Reply{200, "", {}} : unauthorized(bearer); };
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(seen.size() == 2u);
    answer = [](const Seen&) { return unauthorized(bearer); };
    Client refused = d.client();
    BOOST_TEST(d.status(refused) == 401u);
}

BOOST_AUTO_TEST_CASE(realms_that_would_leak_are_refused) {
    for (const char* realm : {"http://auth.org/token", "file:///etc/passwd", "/token", "https://169.254.169.254/latest",
                              "https://[fe80::1]/t", "https://u:p@auth.org/"}) {
        Desk d;
        credentials["r.org/a/b"] = who("u", "sesame");
        answer = [&](const Seen&) { return unauthorized("Bearer realm=\"" + std::string(realm) + "\""); };
        Client c = d.client();
        error_of([&] { d.status(c); });
        BOOST_TEST(seen.size() == 1u, realm);
    }
    // Over http a password stays on the host that it is for.
    Desk d;
    credentials["10.0.0.1:5000/a/b"] = who("u", "sesame");
    std::string realm = "http://10.0.0.1:5001/token";
    answer = [&](const Seen& s) -> Reply {
        if (s.url.rfind(realm, 0) == 0) return {200, R"({"token":"t"})", {}};
        return s.header("Authorization") == "Bearer t" ? Reply{200, "", {}} : unauthorized("Bearer realm=\"" + realm + "\"");
    };
    Client same = d.client({"http"}, "10.0.0.1:5000");
    BOOST_TEST(d.status(same) == 200u);
    BOOST_TEST(seen[1].header("Authorization") == "Basic dTpzZXNhbWU=");
    realm = "http://10.0.0.2/token";
    seen.clear();
    Client other = d.client({"http"}, "10.0.0.1:5000");
    BOOST_TEST(d.status(other) == 200u);
    BOOST_TEST(seen[1].header("Authorization") == "");
}

BOOST_AUTO_TEST_CASE(the_scheme_is_found_with_the_first_request) {
    Desk d;
    answer = [](const Seen& s) -> Reply {
        if (s.url.rfind("http://", 0) == 0) return {400, "Client sent an HTTP request to an HTTPS server.", {}};
        return {200, "", {}};
    };
    Client tls = d.client({"http", "https"}, "localhost:5000");
    BOOST_TEST(d.status(tls) == 200u);
    BOOST_TEST(d.status(tls) == 200u);
    BOOST_TEST(seen.size() == 3u);

    answer = [](const Seen& s) -> Reply {
        if (s.url.rfind("https://", 0) == 0) throw broken(EPROTO);
        return {200, "", {}};
    };
    Client plain = d.client({"https", "http"});
    BOOST_TEST(d.status(plain) == 200u);

    // A registry that says 400 itself, and nothing else there.
    answer = [](const Seen& s) -> Reply {
        if (s.url.rfind("https://", 0) == 0) throw broken(ECONNREFUSED);
        return {400, "", {}};
    };
    Client strange = d.client({"http", "https"});
    BOOST_TEST(d.status(strange) == 400u);

    // One with a certificate that nobody vouches for: that is what must be said.
    answer = [](const Seen& s) -> Reply {
        if (s.url.rfind("https://", 0) == 0) throw broken(EKEYREJECTED);
        return {400, "", {}};
    };
    Client unknown = d.client({"http", "https"});
    BOOST_TEST(error_of([&] { d.status(unknown); }).sys_errno() == EKEYREJECTED);

    answer = [](const Seen&) -> Reply { throw broken(ECONNREFUSED); };
    Client nobody = d.client({"http", "https"});
    BOOST_CHECK_THROW(d.status(nobody), Error);
    BOOST_TEST(d.clock.waits.empty());
}

BOOST_AUTO_TEST_CASE(what_may_pass_is_tried_three_times) {
    for (const unsigned status : {408u, 500u, 502u, 503u, 504u, 522u, 0u}) {
        Desk d;
        int bad = 2;
        answer = [&](const Seen&) -> Reply {
            if (bad-- <= 0) return {200, "", {}};
            if (status == 0) throw broken();
            return {status, "", {}};
        };
        Client c = d.client();
        BOOST_TEST(d.status(c) == 200u);
        BOOST_TEST(d.clock.waits == (std::vector<double>{1, 3}));
        bad = 1000;
        d.clock.waits.clear();
        if (status == 0)
            BOOST_CHECK_THROW(d.status(c), Error);
        else
            BOOST_TEST(d.status(c) == status);
        BOOST_TEST(d.clock.waits == (std::vector<double>{1, 3}));
    }
}

BOOST_AUTO_TEST_CASE(what_will_not_pass_is_tried_once) {
    for (const int e : {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENXIO, EKEYREJECTED, EPROTO}) {
        Desk d;
        answer = [&](const Seen&) -> Reply { throw broken(e); };
        Client c = d.client();
        BOOST_CHECK_THROW(d.status(c), Error);
        BOOST_TEST(seen.size() == 1u);
    }
    for (const unsigned status : {400u, 403u, 404u, 405u, 501u}) {
        Desk d;
        answer = [&](const Seen&) -> Reply { return {status, "", {}}; };
        Client c = d.client();
        BOOST_TEST(d.status(c) == status);
        BOOST_TEST(seen.size() == 1u);
    }
}

BOOST_AUTO_TEST_CASE(too_many_requests_are_waited_for_with_patience_that_ends) {
    Desk d;
    int bad = 3;
    std::string after = "5";
    answer = [&](const Seen&) -> Reply {
        if (bad-- > 0) return {429, "", {{"Retry-After", after}}};
        return {200, "", {}};
    };
    Client c = d.client();
    BOOST_TEST(d.status(c) == 200u);
    BOOST_TEST(d.clock.waits == (std::vector<double>{5, 5, 5}));
    bad = 1000;
    d.clock.waits.clear();
    after = "";
    BOOST_TEST(d.status(c) == 429u);
    BOOST_TEST(d.clock.waits == (std::vector<double>{2, 4, 8, 16}));
    after = "3600";
    d.clock.waits.clear();
    BOOST_TEST(d.status(c) == 429u);
    BOOST_TEST(d.clock.waits.empty());
    const Error e = error_of([&] {
        c.refuse(429, R"({"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]})", "x");
    });
    BOOST_TEST(contains(e.message(), "toomanyrequests: You have reached your pull rate limit."));
    BOOST_TEST(contains(e.hint(), "--docker-login"));
}

BOOST_AUTO_TEST_CASE(waiting_ends_when_the_user_wants) {
    Desk d;
    answer = [](const Seen&) -> Reply {
        fixture::cancel_flag = 1;
        return {503, "", {}};
    };
    Client c = d.client();
    BOOST_TEST((error_of([&] { d.status(c); }).code() == Code::cancelled));
    // The real clock wakes up by itself.
    fixture::cancel_flag = 0;
    const double begin = registry::real_clock().now();
    std::thread later([] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        fixture::cancel_flag = 1;
    });
    BOOST_CHECK_THROW(registry::real_clock().wait(3600, d.host), Error);
    later.join();
    BOOST_TEST(registry::real_clock().now() - begin < 600);
}

BOOST_AUTO_TEST_CASE(warnings_of_a_server_are_shown_once) {
    Desk d;
    answer = [](const Seen&) -> Reply {
        return {200, "", {{"Warning", R"(299 - "moving to \u001b new host on Monday")"}, {"Warning", R"(110 - "stale")"}}};
    };
    Client c = d.client({"https"}, "warns.org");
    d.status(c);
    d.status(c);
    BOOST_TEST(std::count_if(fixture::log_lines.begin(), fixture::log_lines.end(), [](const std::string& l) {
                   return l.find("moving to") != std::string::npos;
               }) == 1);
    BOOST_TEST(d.silent_about("stale"));
}

BOOST_AUTO_TEST_CASE(a_refusal_says_what_may_be_wrong) {
    Desk d;
    Client c = d.client();
    const Error anonymous = error_of([&] { c.refuse(401, "", "Error reading x"); });
    BOOST_TEST(anonymous.message() == "Error reading x: unauthorized: authentication required");
    BOOST_TEST(contains(anonymous.hint(), "--docker-login"));
    BOOST_TEST((error_of([&] { c.refuse(404, "", "x"); }).code() == Code::not_found));
    BOOST_TEST((error_of([&] { c.refuse(500, "<html>", "x"); }).code() == Code::network));
    credentials["r.org/a/b"] = who("u", "sesame");
    answer = [](const Seen&) { return unauthorized("Basic realm=x"); };
    Client known = d.client();
    const Error wrong = error_of([&] { known.refuse(known.send(d.get(), d.host), "x"); });
    BOOST_TEST(contains(wrong.hint(), "from the test"));
    BOOST_TEST((wrong.code() == Code::unauthorized));
}

BOOST_AUTO_TEST_SUITE_END()
