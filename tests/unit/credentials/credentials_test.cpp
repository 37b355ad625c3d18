#include "credentials/credentials.hpp"

#include <unistd.h>

#include <map>
#include <thread>

#include "scratch.hpp"

using namespace sg;

namespace {

// A home with files, and a user who looks for credentials there.
struct World : HelperDirectory {
    std::map<std::string, std::string> variables;
    Places places() const {
        return usual_places(Home::at(path), [&](const char* name) -> const char* {
            const auto it = variables.find(name);
            return it == variables.end() ? nullptr : it->second.c_str();
        });
    }
    Credentials user() const { return {Home::at(path), places(), -1}; }
    // "name:x" in base64 under the key `host`.
    std::string entry(const std::string& name) const { return write_entry(name, "host"); }
    static std::string write_entry(const std::string& name, const std::string& key) {
        return R"({"auths": {")" + key + R"(": {"username": ")" + name + R"(", "password": "pw"}}})";
    }
    std::string who(const std::string& server = "host", const std::string& file = {}) const {
        const auto login = user().find(server, file);
        return login ? login->user : "nobody";
    }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(without_any_file_one_is_anonymous, World) { BOOST_TEST(who() == "nobody"); }

BOOST_FIXTURE_TEST_CASE(files_are_looked_at_in_their_order, World) {
    variables = {{"XDG_RUNTIME_DIR", path + "/run"}, {"XDG_CONFIG_HOME", path + "/xdg"}};
    write(".dockercfg", R"({"host": {"username": "oldest", "password": "pw"}})");
    BOOST_TEST(who() == "oldest");
    write("xdg/containers/auth.json", entry("podman-config"));
    BOOST_TEST(who() == "podman-config");
    write("run/containers/auth.json", entry("podman-runtime"));
    BOOST_TEST(who() == "podman-runtime");
    variables["REGISTRY_AUTH_FILE"] = write("named.json", entry("podman-named"));
    BOOST_TEST(who() == "podman-named");
    write(".docker/config.json", entry("docker"));
    BOOST_TEST(who() == "docker");
    write("elsewhere/config.json", entry("docker-elsewhere"));
    variables["DOCKER_CONFIG"] = path + "/elsewhere";
    BOOST_TEST(who() == "docker-elsewhere");
    write(".apptainer/docker-config.json", entry("apptainer"));
    BOOST_TEST(who() == "apptainer");
    write(".singularity/docker-config.json", entry("own"));
    BOOST_TEST(who() == "own");
    BOOST_TEST(who("host", path + "/named.json") == "podman-named");
}

BOOST_FIXTURE_TEST_CASE(ones_own_file_is_the_only_one, World) {
    write(".docker/config.json", entry("docker"));
    write(".singularity/docker-config.json", "{}");
    BOOST_TEST(who() == "nobody");
}

BOOST_FIXTURE_TEST_CASE(a_file_without_the_server_passes_the_question_on, World) {
    write(".docker/config.json", write_entry("docker", "other"));
    write(".config/containers/auth.json", entry("podman"));
    BOOST_TEST(who() == "podman");
}

BOOST_FIXTURE_TEST_CASE(a_named_file_must_be_there, World) {
    write(".docker/config.json", entry("docker"));
    const Error e = failure_of([&] { user().find("host", path + "/none.json"); });
    BOOST_TEST(e.code() == Code::invalid);  // not not_found, which would mean: be anonymous
    BOOST_TEST(has(e.message(), "none.json"));
}

BOOST_FIXTURE_TEST_CASE(a_broken_file_is_an_error_and_not_anonymity, World) {
    write(".docker/config.json", "{");
    BOOST_TEST(failure_of([&] { user().find("host", ""); }).code() == Code::corrupt);
}

BOOST_FIXTURE_TEST_CASE(helpers_come_before_the_files_own_entries, World) {
    add("one", "printf '{\"Username\":\"by-host\",\"Secret\":\"pw\"}'");
    add("all", "[ \"$(cat)\" = third ] && printf '{\"Username\":\"by-store\",\"Secret\":\"pw\"}' || { echo credentials not found in native keychain; exit 1; }");
    write(".docker/config.json", R"({"credHelpers": {"host": "one"}, "credsStore": "all", "auths": {"fourth": {"username": "by-file", "password": "pw"}, "third": {}}})");
    BOOST_TEST(who("host") == "by-host");
    BOOST_TEST(who("third/ns/repo") == "by-store");
    BOOST_TEST(who("fourth") == "by-file");
    BOOST_TEST(who("fifth") == "nobody");
}

BOOST_FIXTURE_TEST_CASE(a_store_that_is_not_installed_is_passed_over, World) {
    write(".docker/config.json", R"({"credsStore": "not-here", "auths": {"host": {"username": "file", "password": "pw"}}})");
    BOOST_TEST(who("host") == "file");
}

BOOST_FIXTURE_TEST_CASE(a_helper_for_this_server_that_is_not_installed_is_an_error_and_not_anonymity, World) {
    write(".docker/config.json", R"({"credHelpers": {"host": "not-here"}})");
    const Error e = failure_of([&] { user().find("host", ""); });
    BOOST_TEST(e.code() == Code::unsupported);
    BOOST_TEST(has(e.message(), "docker-credential-not-here"));
    BOOST_TEST(who("other") == "nobody");
}

BOOST_FIXTURE_TEST_CASE(a_file_of_another_user_chooses_no_program, World) {
    if (geteuid() != 0) return;  // only root can make what another user would
    add("one", "printf '{\"Username\":\"ran\",\"Secret\":\"pw\"}'");
    const std::string config = write(".docker/config.json", R"({"credHelpers": {"host": "one"}, "credsStore": "one", "auths": {"host": {"username": "file", "password": "pw"}}})");
    BOOST_TEST(who("host") == "ran");
    BOOST_REQUIRE(chown(config.c_str(), 12345, 12345) == 0);
    BOOST_TEST(who("host") == "file");
}

BOOST_FIXTURE_TEST_CASE(what_is_kept_goes_to_ones_own_file_that_nobody_else_reads, World) {
    BOOST_TEST(user().store("docker.io", "", Login{"me", Secret("pw"), {}, ""}) == path + "/.singularity/docker-config.json");
    struct stat st {};
    BOOST_REQUIRE(stat((path + "/.singularity/docker-config.json").c_str(), &st) == 0);
    BOOST_TEST((st.st_mode & 0777) == 0600u);
    BOOST_REQUIRE(stat((path + "/.singularity").c_str(), &st) == 0);
    BOOST_TEST((st.st_mode & 0777) == 0700u);
    BOOST_TEST(who("https://index.docker.io/v1/") == "me");
    BOOST_TEST(user().list("").size() == 1u);
    BOOST_TEST(user().erase("docker.io", ""));
    BOOST_TEST(!user().erase("docker.io", ""));
    BOOST_TEST(who("docker.io") == "nobody");
}

BOOST_FIXTURE_TEST_CASE(dockers_own_file_is_never_changed, World) {
    write(".docker/config.json", entry("docker"));
    BOOST_TEST(!user().erase("host", ""));
    BOOST_TEST(who("host") == "docker");
}

BOOST_FIXTURE_TEST_CASE(nothing_is_written_to_somebody_elses_home, World) {
    if (geteuid() != 0) return;  // only root meets one
    BOOST_REQUIRE(chown(path.c_str(), 12345, 12345) == 0);
    BOOST_TEST(failure_of([&] { user().store("host", "", Login{"me", Secret("pw"), {}, ""}); }).code() == Code::permission);
    BOOST_TEST(access((path + "/.singularity").c_str(), F_OK) != 0);
    BOOST_REQUIRE(chown(path.c_str(), 0, 0) == 0);
}

BOOST_FIXTURE_TEST_CASE(a_file_with_a_store_hands_over_to_it, World) {
    add("keep", "cat > '" + path + "/'$1");
    write("auth.json", R"({"credsStore": "keep"})");
    BOOST_TEST(user().store("host", path + "/auth.json", Login{"me", Secret("hunter2"), {}, ""}) == "docker-credential-keep");
    BOOST_TEST(has(read("store"), "hunter2"));
    BOOST_TEST(!has(read("auth.json"), "hunter2"));
    BOOST_TEST(user().erase("host", path + "/auth.json"));
    BOOST_TEST(read("erase") == "host");
}

BOOST_FIXTURE_TEST_CASE(many_who_keep_something_at_once_lose_nothing, World) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([this, i] { user().store("host" + std::to_string(i), path + "/auth.json", Login{"u" + std::to_string(i), Secret("pw"), {}, ""}); });
    for (auto& t : threads) t.join();
    BOOST_TEST(user().list(path + "/auth.json").size() == 8u);
}

BOOST_FIXTURE_TEST_CASE(listing_shows_servers_and_users_of_helpers_too, World) {
    add("all", "printf '{\"https://index.docker.io/v1/\":\"hub-user\"}'");
    write(".docker/config.json", R"({"credsStore": "all", "auths": {"https://index.docker.io/v1/": {}, "host": {"username": "me", "password": "pw"}}})");
    const auto all = user().list("");
    BOOST_REQUIRE(all.size() == 2u);
    BOOST_TEST(all[0].second == "hub-user");
    BOOST_TEST(all[1].first == "host");
    BOOST_TEST(all[1].second == "me");
}

BOOST_FIXTURE_TEST_CASE(a_sites_helper_has_what_no_file_of_the_users_has, World) {
    add("site", R"(cat >/dev/null; echo '{"ServerURL":"x","Username":"by-site","Secret":"s"}')");
    add("none", "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1");
    const auto who_at = [&](const std::string& server, const std::vector<std::string>& helpers,
                            const std::string& file = {}) {
        const auto login = Credentials(Home::at(path), places(), -1, helpers).find(server, file);
        return login ? login->user : "nobody";
    };
    BOOST_TEST(who_at("host", {"host=site"}) == "by-site");
    BOOST_TEST(who_at("host/name/space", {"host=site"}) == "by-site");
    BOOST_TEST(who_at("other", {"host=site"}) == "nobody");
    BOOST_TEST(who_at("host", {"host=none", "host=site"}) == "by-site");
    write(".docker/config.json", entry("own"));
    BOOST_TEST(who_at("host", {"host=site"}) == "own");
    BOOST_TEST(who_at("host2", {"host2=site"}, write("named.json", "{}")) == "nobody");
    BOOST_CHECK_EXCEPTION(who_at("host3", {"host3=../evil"}), Error,
                          [](const Error& e) { return e.code() == Code::invalid; });
}
