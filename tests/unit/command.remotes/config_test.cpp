#include <boost/test/unit_test.hpp>
#include <singularity/error.hpp>

#include "remotes/yaml.hpp"

using namespace remotes;
using singularity::Code;
using singularity::Error;

namespace {

// As Apptainer 1.4.5 and SingularityCE 4 write it.
const char* const written_by_others =
    "Active: site\n"
    "Remotes:\n"
    "    DefaultRemote:\n"
    "        URI: cloud.apptainer.org\n"
    "        System: true\n"
    "        Exclusive: false\n"
    "        Keyservers:\n"
    "            - URI: https://keys.example.org\n"
    "              Skip: false\n"
    "              External: true\n"
    "              Insecure: false\n"
    "            - URI: http://localhost:11371\n"
    "              Skip: true\n"
    "              External: false\n"
    "              Insecure: true\n"
    "    site:\n"
    "        URI: 127.0.0.1:8443/x\n"
    "        Token: eyJhbGciOi.J9-_x\n"
    "        System: false\n"
    "        Exclusive: false\n"
    "        Insecure: true\n"
    "Credentials:\n"
    "    - URI: docker://localhost:5000\n"
    "      Insecure: true\n"
    "    - URI: https://keys.example.org\n"
    "      Auth: Basic Ym9iOnBhc3M=\n"
    "      Insecure: false\n";

Code code_of(const std::function<void()>& what) {
    try {
        what();
    } catch (const Error& e) {
        return e.code();
    }
    return Code::internal;
}

std::string message_of(const std::string& text) {
    try {
        parse_config(text, "F");
    } catch (const Error& e) {
        return e.message();
    }
    return "";
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_of_the_other_tools_is_read_and_written_byte_for_byte) {
    const Config c = parse_config(written_by_others, "F");
    BOOST_TEST(c.active == "site");
    BOOST_REQUIRE(c.remotes.size() == 2u);
    BOOST_TEST(c.remotes[0].keyservers.size() == 2u);
    BOOST_TEST(c.remotes[0].keyservers[1].skip);
    BOOST_TEST(c.need("site").token == "eyJhbGciOi.J9-_x");
    BOOST_TEST(c.need("site").url() == "http://127.0.0.1:8443/x");
    BOOST_TEST(c.login_of("hkps://keys.example.org")->auth == "Basic Ym9iOnBhc3M=");
    BOOST_TEST(print_config(c) == written_by_others);
}

BOOST_AUTO_TEST_CASE(a_text_that_yaml_would_take_for_something_else_comes_back_as_it_was) {
    for (const char* text :
         {"true", "No",       "null", "12345", "0x1f",      "1e5",         "1:30",  "2026-01-02",  ".5",
          "-x",   "a: b",     "a #b", "end:",  " x",        "x ",          "\"q\"", "back\\slash", "@x",
          "~",    "\xc3\xa9", "*a",   "&a",    "!t",        "%x",          "[x]",   "{x}",         "|",
          ">",    "'",        "?",    "plain", "127.0.0.1", "127.0.0.1:80"}) {
        Config c = default_config();
        c.remotes[0].name = text;
        c.remotes[0].token = text;
        c.active = text;
        const Config back = parse_config(print_config(c), "F");
        BOOST_TEST(back.active == text);
        BOOST_TEST(back.remotes[0].name == text);
        BOOST_TEST(back.remotes[0].token == text);
    }
}

BOOST_AUTO_TEST_CASE(an_address_stands_without_quotes) {
    for (const char* text : {"127.0.0.101", "127.0.0.1:8080", "hub.example.org/path", "10.0.0.1/x"}) {
        Config c = default_config();
        c.remotes[0].uri = text;
        BOOST_TEST(print_config(c).find("URI: " + std::string(text) + "\n") != std::string::npos, text);
    }
}

BOOST_AUTO_TEST_CASE(what_is_wrong_in_a_file_is_told_by_line_and_without_values) {
    BOOST_TEST(message_of("Active: x\nTokens: secret\n") == "F:2: unknown key 'Tokens' in the file");
    BOOST_TEST(message_of("Remotes:\n  a:\n    Token: [secret]\n") == "F:3: Token must be a text");
    BOOST_TEST(message_of("Remotes:\n  a:\n    System: secret\n") == "F:3: System must be true or false");
    BOOST_TEST(message_of("Remotes:\n  a: {}\n  a: {}\n") == "F:3: 'a' stands there twice");
    BOOST_TEST(message_of("Remotes:\n  a:\n    Token: \"x\\ny\"\n") == "F:3: Token holds a control character");
    BOOST_TEST(message_of("Remotes: [").starts_with("F:1: no YAML"));
    BOOST_TEST(message_of("- x\n") == "F:1: the file must be a mapping");
    BOOST_TEST(message_of("Credentials: {a: b}\n") == "F:1: Credentials must be a list");
    BOOST_TEST(parse_config("", "F").remotes.empty());
    BOOST_TEST(parse_config("Active:\nRemotes:\n", "F").active == "");
}

BOOST_AUTO_TEST_CASE(the_sites_remotes_are_as_the_site_says_and_a_users_own_stay) {
    Config mine = parse_config(
        "Active: own\nRemotes:\n  own: {URI: mine, System: false, Exclusive: false}\n  both: {URI: old, Token: t, "
        "System: true, Exclusive: false}\n",
        "F");
    const Config site = parse_config(
        "Active: both\nRemotes:\n  own: {URI: theirs, System: true, Exclusive: false}\n"
        "  both: {URI: new, Token: admin, System: true, Exclusive: false, Keyservers: [{URI: 'https://k', Skip: false, "
        "External: true, Insecure: false}]}\n"
        "  more: {URI: m, Token: admin, System: true, Exclusive: false}\n",
        "S");
    mine.merge_site(site);
    BOOST_TEST(mine.active == "own");
    BOOST_TEST(mine.need("own").uri == "mine");
    BOOST_TEST(mine.need("both").uri == "new");
    BOOST_TEST(mine.need("both").token == "t");
    BOOST_TEST(mine.need("both").keyservers.size() == 1u);
    BOOST_TEST(mine.need("more").token == "");
    BOOST_TEST(mine.need("more").system);

    Config other;
    other.merge_site(site);
    BOOST_TEST(other.active == "both");
}

BOOST_AUTO_TEST_CASE(an_exclusive_remote_is_the_only_one_that_may_be_used) {
    Config c = parse_config("Active: own\nRemotes:\n  own: {URI: mine, System: false, Exclusive: false}\n", "F");
    c.merge_site(parse_config("Active: site\nRemotes:\n  site: {URI: s, System: true, Exclusive: true}\n", "S"));
    BOOST_TEST(c.active == "site");
    BOOST_TEST((code_of([&] { c.use("own", false, false); }) == Code::permission));
    c.use("site", false, false);
    BOOST_TEST(c.need("site").exclusive);
    BOOST_TEST((code_of([&] { c.use("own", true, false); }) == Code::usage));
    BOOST_TEST((code_of([&] { c.remove("site", false); }) == Code::permission));
    BOOST_TEST((code_of([&] { c.remove("nope", false); }) == Code::not_found));
    BOOST_TEST((code_of([&] { c.add(c.need("own")); }) == Code::exists));
}

BOOST_AUTO_TEST_CASE(a_site_moves_the_exclusiveness_from_one_remote_to_another) {
    Config c = parse_config(
        "Active: a\nRemotes:\n  a: {URI: a, System: true, Exclusive: true}\n  b: {URI: b, System: true, Exclusive: "
        "false}\n",
        "S");
    c.use("b", true, true);
    BOOST_TEST(!c.need("a").exclusive);
    BOOST_TEST(c.need("b").exclusive);
    c.use("b", false, true);
    BOOST_TEST(!c.need("b").exclusive);
}

BOOST_AUTO_TEST_CASE(key_servers_keep_their_order) {
    Remote r;
    r.uri = "host";
    add_keyserver(r, "https://own", "https://second", 0, false);
    add_keyserver(r, "https://own", "hkp://first", 1, true);
    BOOST_REQUIRE(r.keyservers.size() == 3u);
    BOOST_TEST(r.keyservers[0].uri == "hkp://first");
    BOOST_TEST(r.keyservers[0].insecure);
    BOOST_TEST(r.keyservers[1].uri == "https://own");
    BOOST_TEST(!r.keyservers[1].external);
    BOOST_TEST((code_of([&] { add_keyserver(r, "", "http://first:11371", 0, false); }) == Code::exists));
    BOOST_TEST((code_of([&] { add_keyserver(r, "", "https://x", 5, false); }) == Code::usage));
    remove_keyserver(r, "", "https://own");
    BOOST_TEST(r.keyservers[1].skip);
    add_keyserver(r, "", "https://own", 1, false);
    BOOST_TEST(r.keyservers[0].uri == "https://own");
    BOOST_TEST(!r.keyservers[0].external);
    remove_keyserver(r, "", "https://own");
    remove_keyserver(r, "", "https://second");
    BOOST_TEST((code_of([&] { remove_keyserver(r, "", "hkp://first"); }) == Code::invalid));
    BOOST_TEST((code_of([&] { remove_keyserver(r, "", "https://nope"); }) == Code::not_found));
}

BOOST_AUTO_TEST_CASE(a_login_replaces_all_that_went_to_the_same_server) {
    Config c;
    c.logins = {{"https://k", "a", false}, {"docker://k", "", false}, {"https://k:443", "b", false}};
    c.set_login({"https://K", "c", false});
    BOOST_TEST(c.logins.size() == 2u);
    BOOST_TEST(c.login_of("https://k/path")->auth == "c");
    BOOST_TEST(c.remove_login("docker://k"));
    BOOST_TEST(!c.remove_login("docker://k"));
}
