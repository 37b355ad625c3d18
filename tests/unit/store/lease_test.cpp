#include "store/lease.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.hpp"
#include "store/output.hpp"
#include "store/owner.hpp"
#include "store/private_directory.hpp"

namespace {

namespace fs = std::filesystem;
using sg::Lease;
using namespace std::chrono_literals;

const sg::LeasePatience quick{20ms, 150ms, 300ms};

struct Place {
    std::string path, root;
    sg::CancelToken cancel;
    sg_call call{cancel, nullptr};
    Place() {
        char name[] = "/tmp/sg-lease-XXXXXX";
        path = mkdtemp(name);
        root = path + "/cache";
    }
    ~Place() { sg::remove_tree(path); }
    std::unique_ptr<Lease> take(
        const std::function<bool()>& have = [] { return false; }, const sg::LeasePatience& patience = quick) {
        return Lease::acquire(
            root, "x", have, [&](const Lease::State& s) { last = s, ++waited; }, &call, patience);
    }
    std::unique_ptr<Lease> follow() {
        return Lease::take_or_follow(
            root, "x", [&](const Lease::State&) { ++seen; }, &call, quick);
    }
    std::string file() const { return root + "/leases/x"; }
    // A lease that nobody keeps alive.
    void plant(const sg::Owner& owner) {
        sg::make_cache_root(root);
        sg::make_private_directory(root + "/leases");
        std::ofstream(file()) << owner.text() + "-0123456789abcdef 7 0 0\n";
    }
    Lease::State last;
    int waited = 0;
    std::atomic<int> seen{0};
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_lease_is_taken_told_of_and_given_back) {
    Place p;
    {
        const auto lease = p.take();
        BOOST_REQUIRE(lease);
        BOOST_CHECK(fs::exists(p.file()));
    }
    BOOST_CHECK(!fs::exists(p.file()));
    BOOST_CHECK(fs::is_empty(p.root + "/leases"));
    BOOST_CHECK(fs::is_empty(p.root + "/tmp"));
}

BOOST_AUTO_TEST_CASE(who_finds_the_result_needs_no_lease) {
    Place p;
    BOOST_CHECK(!p.take([] { return true; }));
    BOOST_CHECK(fs::is_empty(p.root + "/leases"));
}

BOOST_AUTO_TEST_CASE(others_wait_see_the_progress_and_go_on_with_the_result) {
    Place p;
    std::atomic<bool> made{false};
    auto lease = p.take();
    BOOST_REQUIRE(lease);
    lease->tell(30, 100);
    std::thread owner([&] {
        std::this_thread::sleep_for(400ms);  // longer than a silent owner would be granted
        made = true;
        lease.reset();
    });
    BOOST_CHECK(!p.take([&] { return made.load(); }));
    BOOST_CHECK(made);
    BOOST_CHECK_GT(p.waited, 0);
    BOOST_CHECK_EQUAL(p.last.done, 30u);
    BOOST_CHECK_EQUAL(p.last.total, 100u);
    owner.join();
}

BOOST_AUTO_TEST_CASE(a_result_is_found_though_a_file_system_goes_on_showing_the_lease) {
    Place p;
    const auto lease = p.take();
    BOOST_REQUIRE(lease);
    const sg::LeasePatience patient{20ms, 1h, 1h};
    int asked = 0;
    BOOST_CHECK(!p.take([&] { return ++asked > 1; }, patient));
}

BOOST_AUTO_TEST_CASE(who_only_follows_goes_on_when_the_lease_is_given_back_whatever_came_of_it) {
    Place p;
    auto lease = p.follow();
    BOOST_REQUIRE(lease);
    std::thread owner([&] {
        while (p.seen == 0) std::this_thread::sleep_for(1ms);
        lease.reset();
    });
    BOOST_CHECK(!p.follow());
    owner.join();
    BOOST_CHECK(fs::is_empty(p.root + "/leases"));
    BOOST_CHECK(p.follow());
}

BOOST_AUTO_TEST_CASE(one_of_those_who_follow_replaces_an_owner_that_died) {
    Place p;
    sg::Owner dead = sg::Owner::self();
    dead.start += 1;
    p.plant(dead);
    BOOST_CHECK(p.follow());
    sg::Owner far = sg::Owner::self();
    far.boot = "00000000-1111-2222-3333-444444444444";
    p.plant(far);
    BOOST_CHECK(p.follow());
}

BOOST_AUTO_TEST_CASE(a_dead_owner_on_this_host_is_known_at_once) {
    Place p;
    const pid_t child = fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        const auto lease = p.take();
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    BOOST_REQUIRE(fs::exists(p.file()));
    const sg::LeasePatience patient{20ms, 1h, 1h};
    BOOST_CHECK(p.take([] { return false; }, patient));
}

BOOST_AUTO_TEST_CASE(what_a_dead_owner_left_goes_when_its_work_is_found_done) {
    Place p;
    sg::Owner dead = sg::Owner::self();
    dead.start += 1;
    p.plant(dead);
    BOOST_CHECK(!p.take([] { return true; }));
    BOOST_CHECK(!fs::exists(p.file()));
    // One that lives keeps it.
    const auto lease = p.take();
    BOOST_CHECK(!p.take([] { return true; }));
    BOOST_CHECK(fs::exists(p.file()));
}

BOOST_AUTO_TEST_CASE(leases_that_nobody_will_ask_for_are_removed) {
    Place p;
    sg::Owner dead = sg::Owner::self(), far = dead;
    dead.start += 1;
    far.boot = "00000000-1111-2222-3333-444444444444";
    const auto lease = p.take();
    const auto plant = [&](const char* name, const sg::Owner& owner, bool old) {
        const std::string path = p.root + "/leases/" + name;
        std::ofstream(path) << owner.text() + "-0123456789abcdef 7 0 0\n";
        if (old) fs::last_write_time(path, fs::file_time_type::clock::now() - 48h);
    };
    plant("dead", dead, false);
    plant("dead.half", dead, false);
    plant("far", far, false);
    plant("long-ago", far, true);
    BOOST_CHECK(!p.take([] { return true; }));
    std::set<std::string> left;
    for (const auto& e : fs::directory_iterator(p.root + "/leases")) left.insert(e.path().filename());
    BOOST_TEST(left == (std::set<std::string>{"far", "x"}), boost::test_tools::per_element());
    BOOST_CHECK(fs::is_empty(p.root + "/tmp"));
}

BOOST_AUTO_TEST_CASE(a_process_number_that_was_given_again_is_no_living_owner) {
    Place p;
    sg::Owner reused = sg::Owner::self();
    reused.start += 1;
    p.plant(reused);
    const sg::LeasePatience patient{20ms, 1h, 1h};
    BOOST_CHECK(p.take([] { return false; }, patient));
}

BOOST_AUTO_TEST_CASE(a_silent_owner_on_another_host_or_in_another_pid_namespace_loses_it_later) {
    for (const bool other_host : {true, false}) {
        Place p;
        sg::Owner owner = sg::Owner::self();
        if (other_host)
            owner.boot = "00000000-0000-0000-0000-000000000000";
        else
            owner.pid_namespace += 1;
        p.plant(owner);
        const auto before = std::chrono::steady_clock::now();
        BOOST_CHECK(p.take());
        const auto took = std::chrono::steady_clock::now() - before;
        BOOST_CHECK(took >= (other_host ? quick.other_host : quick.same_host));
    }
}

BOOST_AUTO_TEST_CASE(an_owner_elsewhere_that_beats_keeps_it) {
    Place p;
    sg::Owner owner = sg::Owner::self();
    owner.pid_namespace += 1;
    p.plant(owner);
    std::atomic<bool> end{false};
    std::thread beating([&] {
        for (int beat = 0; !end; ++beat) {
            std::ofstream(p.file()) << owner.text() + "-0123456789abcdef " + std::to_string(1000 + beat) + " 0 0\n";
            std::this_thread::sleep_for(20ms);
        }
    });
    std::thread stop([&] {
        std::this_thread::sleep_for(500ms);
        p.cancel.cancel();
    });
    BOOST_CHECK_EXCEPTION(p.take(), sg::Error, [](const sg::Error& e) { return e.code() == sg::Code::cancelled; });
    end = true;
    beating.join();
    stop.join();
}

BOOST_AUTO_TEST_CASE(a_stopped_owner_that_goes_on_harms_nobody) {
    Place p;
    const pid_t child = fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        {
            const auto lease = p.take();
            raise(SIGSTOP);
            std::this_thread::sleep_for(100ms);
        }
        _exit(0);
    }
    int status = 0;
    BOOST_REQUIRE_EQUAL(waitpid(child, &status, WUNTRACED), child);
    BOOST_REQUIRE(WIFSTOPPED(status));
    const auto mine = p.take();
    BOOST_REQUIRE(mine);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    BOOST_CHECK_EQUAL(status, 0);
    BOOST_CHECK(fs::exists(p.file()));  // it did not take ours with it
}

BOOST_AUTO_TEST_CASE(things_that_are_no_lease_do_not_block_for_ever) {
    for (int kind = 0; kind < 4; ++kind) {
        Place p;
        sg::make_cache_root(p.root);
        sg::make_private_directory(p.root + "/leases");
        if (kind == 0) std::ofstream(p.file()) << "garbage";
        if (kind == 1) fs::create_directories(p.file() + "/deep");
        if (kind == 2) fs::create_symlink("/etc/passwd", p.file());
        if (kind == 3) std::ofstream(p.file());
        BOOST_CHECK(p.take());
        BOOST_CHECK(fs::exists("/etc/passwd"));
    }
}

BOOST_AUTO_TEST_CASE(of_many_processes_one_at_a_time_has_it_even_when_some_are_killed) {
    Place p;
    sg::make_cache_root(p.root);
    const std::string inside = p.path + "/inside", count = p.path + "/count";
    std::vector<pid_t> children;
    for (int i = 0; i < 12; ++i) {
        const pid_t pid = fork();
        BOOST_REQUIRE(pid >= 0);
        if (pid == 0) {
            const sg::LeasePatience patient{20ms, 1h, 1h};
            const auto lease = p.take([] { return false; }, patient);
            if (mkdir(inside.c_str(), 0700) != 0) _exit(3);
            std::ofstream(count, std::ios::app) << "x";
            std::this_thread::sleep_for(10ms);
            rmdir(inside.c_str());
            if (i % 3 == 0) kill(getpid(), SIGKILL);
            _exit(lease ? 0 : 4);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = 0;
        waitpid(pid, &status, 0);
        BOOST_CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    }
    BOOST_CHECK_EQUAL(fs::file_size(count), 12u);
}

BOOST_AUTO_TEST_CASE(who_takes_a_lease_only_if_it_is_free_does_not_wait_for_an_owner_that_lives) {
    Place p;
    const sg::LeasePatience patient{20ms, 1h, 1h};
    const auto take = [&](const sg::LeasePatience& patience) { return Lease::take_if_free(p.root, "x", patience); };
    {
        const auto lease = take(patient);
        BOOST_REQUIRE(lease);
        BOOST_CHECK(!take(patient));
    }
    BOOST_CHECK(take(patient));
    // One that was killed here is known at once, one elsewhere after a little silence.
    sg::Owner dead = sg::Owner::self(), far = dead;
    dead.start += 1;
    far.boot = "00000000-1111-2222-3333-444444444444";
    p.plant(dead);
    BOOST_CHECK(take(patient));
    p.plant(far);
    BOOST_CHECK(take({20ms, 150ms, 1h}));
    // And one elsewhere that shows a sign of life has it.
    std::atomic<bool> end{false};
    std::thread beating([&] {
        for (int beat = 0; !end; ++beat) {
            const std::string aside = p.path + "/beat";
            std::ofstream(aside) << far.text() + "-0123456789abcdef " + std::to_string(1000 + beat) + " 0 0\n";
            fs::rename(aside, p.file());
            std::this_thread::sleep_for(5ms);
        }
    });
    while (!fs::exists(p.file())) std::this_thread::sleep_for(1ms);
    BOOST_CHECK(!take(patient));
    end = true;
    beating.join();
}
