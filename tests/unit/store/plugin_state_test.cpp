#include "store/plugin_state.hpp"

#include <fcntl.h>
#include <signal.h>
#include <singularity/state.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "store/output.hpp"

namespace {

namespace fs = std::filesystem;
using sg::PluginState;

struct Place {
    std::string path, root;
    Place() {
        char name[] = "/tmp/sg-state-XXXXXX";
        path = mkdtemp(name);
        root = path + "/cache";
    }
    ~Place() { sg::remove_tree(path); }
    std::unique_ptr<PluginState> take(const std::string& key = "key", uint64_t seconds = 60,
                                      const std::string& plugin = "mine") {
        return PluginState::take(root, plugin, key, seconds);
    }
    std::vector<std::string> files(const std::string& plugin = "mine") const {
        std::vector<std::string> out;
        for (const auto& e : fs::directory_iterator(root + "/state/" + plugin)) out.push_back(e.path());
        return out;
    }
    // What the file of the one key holds.
    void write(const std::string& bytes) const { std::ofstream(files().at(0)) << bytes; }
};

std::string until(int64_t seconds) { return std::to_string(time(nullptr) + seconds) + "\n"; }

}  // namespace

BOOST_AUTO_TEST_CASE(what_was_put_is_found_again_until_it_is_forgotten) {
    Place p;
    BOOST_CHECK(!p.take()->get());
    p.take()->put("one");
    p.take()->put("two\nlines");
    BOOST_CHECK_EQUAL(p.take()->get().value_or("-"), "two\nlines");
    BOOST_CHECK(!p.take("another key")->get());
    BOOST_CHECK(!p.take("key", 60, "another.plugin")->get());
    p.take()->forget();
    p.take()->forget();
    BOOST_CHECK(!p.take()->get());
    BOOST_CHECK(fs::is_empty(p.root + "/leases"));
    BOOST_CHECK(fs::is_empty(p.root + "/tmp"));
}

BOOST_AUTO_TEST_CASE(only_the_user_can_read_it) {
    Place p;
    const mode_t before = umask(0);
    p.take()->put("x");
    umask(before);
    for (const std::string& path : {p.root + "/state", p.root + "/state/mine", p.files().at(0)}) {
        struct stat st {};
        BOOST_REQUIRE_EQUAL(stat(path.c_str(), &st), 0);
        BOOST_TEST((st.st_mode & 077) == 0u, path);
    }
}

BOOST_AUTO_TEST_CASE(one_process_has_a_key_until_it_ends_however_it_ends) {
    Place p;
    {
        const auto mine = p.take();
        BOOST_CHECK(!p.take());
        BOOST_CHECK(p.take("another key"));
    }
    const pid_t child = fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        const auto held = p.take();
        held->put("from the dead");
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    BOOST_CHECK(WIFSIGNALED(status));
    const auto mine = p.take();
    BOOST_REQUIRE(mine);
    BOOST_CHECK_EQUAL(mine->get().value_or("-"), "from the dead");
}

BOOST_AUTO_TEST_CASE(what_is_over_its_time_or_is_no_state_is_not_told_and_goes) {
    Place p;
    for (const std::string& bytes :
         {until(-1) + "x", until(SG_STATE_SECONDS_MAX + 100) + "x", std::string("x"), std::string(),
          std::string("12x\ny"), until(50) + std::string(SG_STATE_MAX + 100, 'x')}) {
        p.take()->put("x");
        p.write(bytes);
        BOOST_CHECK(!p.take()->get());
        BOOST_CHECK(p.files().empty());
    }
    p.take()->put("x");
    p.write(until(50) + "y");
    BOOST_CHECK_EQUAL(p.take()->get().value_or("-"), "y");
    // Also that of another key, and what has no business there.
    p.write(until(-1) + "y");
    fs::create_directories(p.root + "/state/mine/deep/deeper");
    fs::create_symlink("/etc/passwd", p.root + "/state/mine/link");
    p.take("another key");
    BOOST_CHECK(p.files().empty());
    BOOST_CHECK(fs::exists("/etc/passwd"));
}

BOOST_AUTO_TEST_CASE(of_too_many_the_oldest_go) {
    Place p;
    for (size_t i = 0; i < PluginState::most_texts + 3; ++i) p.take("key " + std::to_string(i), 1000 + i)->put("x");
    BOOST_CHECK_EQUAL(p.files().size(), PluginState::most_texts);
    BOOST_CHECK(!p.take("key 0")->get());
    BOOST_CHECK(p.take("key " + std::to_string(PluginState::most_texts + 2))->get());
}

BOOST_AUTO_TEST_CASE(a_text_has_a_largest_size_and_a_plugin_a_name) {
    Place p;
    const auto state = p.take();
    state->put(std::string(SG_STATE_MAX - 1, 'x'));
    BOOST_CHECK_EXCEPTION(state->put(std::string(SG_STATE_MAX, 'x')), sg::Error,
                          [](const sg::Error& e) { return e.code() == sg::Code::limit; });
    BOOST_CHECK_EQUAL(state->get().value_or("").size(), SG_STATE_MAX - 1);
    for (const std::string& name : {std::string(), std::string(".."), std::string("a/b"), std::string(".a"),
                                    std::string("a\nb"), std::string(65, 'a')})
        BOOST_CHECK_EXCEPTION(p.take("key", 60, name), sg::Error,
                              [](const sg::Error& e) { return e.code() == sg::Code::invalid; });
}

BOOST_AUTO_TEST_CASE(a_planted_link_leads_nowhere) {
    Place p;
    fs::create_directories(p.path + "/elsewhere/mine");
    fs::create_directories(p.root);
    fs::create_symlink(p.path + "/elsewhere", p.root + "/state");
    BOOST_CHECK_THROW(p.take(), sg::Error);
    fs::remove(p.root + "/state");
    fs::create_directories(p.root + "/state");
    fs::create_symlink(p.path + "/elsewhere/mine", p.root + "/state/mine");
    BOOST_CHECK_THROW(p.take(), sg::Error);
    BOOST_CHECK(fs::is_empty(p.path + "/elsewhere/mine"));
    sg::forget_plugin_states(p.root);
    BOOST_CHECK(!fs::exists(p.root + "/state"));
    BOOST_CHECK(fs::exists(p.path + "/elsewhere/mine"));
    sg::forget_plugin_states(p.root);
}
