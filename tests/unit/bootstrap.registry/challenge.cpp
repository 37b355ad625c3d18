// WWW-Authenticate as servers write it.
#include <boost/test/unit_test.hpp>
#include <singularity/challenge.hpp>

using singularity::Challenge;
using singularity::parse_challenges;

namespace {

std::string shown(const std::string& header) {
    std::string out;
    for (const Challenge& c : parse_challenges(header)) {
        out += (out.empty() ? "" : " | ") + c.scheme;
        for (const auto& [k, v] : c.parameters) out += " " + k + "=<" + v + ">";
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(challenges)

BOOST_AUTO_TEST_CASE(headers_are_read_as_rfc_9110_has_them) {
    const std::pair<const char*, const char*> cases[] = {
        {R"(Basic realm="Registry")", "basic realm=<Registry>"},
        {R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")",
         "bearer realm=<https://auth.docker.io/token> service=<registry.docker.io> scope=<repository:a/b:pull,push>"},
        {R"(BEARER Realm="x" , SERVICE=y)", "bearer realm=<x> service=<y>"},
        {R"(Basic realm="a", Bearer realm="b",error="insufficient_scope")",
         "basic realm=<a> | bearer realm=<b> error=<insufficient_scope>"},
        {R"(Bearer realm="with \"quotes\" and \\")", R"(bearer realm=<with "quotes" and \>)"},
        {R"(Negotiate, Basic realm="a, b=c")", "negotiate | basic realm=<a, b=c>"},
        {R"(Bearer realm=https://x/token,service=y)", "bearer realm=<https://x/token> service=<y>"},
        {R"(,, Basic realm="a",,)", "basic realm=<a>"},
        {"Basic", "basic"},
        {R"(Negotiate, BEARER Realm="https://auth.example/t?x=1,2",service="a \"b\"" , scope=x:y, Basic realm=plain)",
         "negotiate | bearer realm=<https://auth.example/t?x=1,2> service=<a \"b\"> scope=<x:y> | basic realm=<plain>"},
        // Broken ones: what was whole before counts, and nothing is read past the end.
        {R"(Bearer realm="never ends)", "bearer"},
        {R"(Basic realm="a", Bearer realm="b\)", "basic realm=<a> | bearer"},
        {"", ""},
        {"=", ""},
        {"realm=\"x\"", ""},
        {"Basic a=\\", "basic a=<\\>"},
        {R"("quoted")", ""},
        {"Negotiate abc123==", "negotiate abc123=<=>"},
    };
    for (const auto& [header, want] : cases) BOOST_TEST(shown(header) == want, header << " gives " << shown(header));
}

BOOST_AUTO_TEST_CASE(a_header_of_many_challenges_ends_somewhere) {
    std::string header;
    for (int i = 0; i < 10000; ++i) header += "Basic realm=\"" + std::to_string(i) + "\", ";
    BOOST_TEST(parse_challenges(header).size() <= 16u);
    header = "Bearer a=1";
    for (int i = 0; i < 10000; ++i) header += ",a=1";
    BOOST_TEST(parse_challenges(header).at(0).parameters.size() <= 64u);
}

BOOST_AUTO_TEST_SUITE_END()
