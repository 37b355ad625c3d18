// Runs a scenario as an ordinary user who may open /dev/fuse, whoever runs the test.
#pragma once
#include <boost/test/unit_test.hpp>
#include <functional>
#include <string>
#include <vector>

namespace user {

// For BOOST_TEST_DECORATOR(*boost::unit_test::precondition(can_mount)): root can always make a device of its
// own; another user needs the system's.
boost::test_tools::assertion_result can_mount(boost::unit_test::test_unit_id);

// One scenario in a child process of one thread, uid 54321 when the test is root's. What it throws is shown
// and counts as failed. The test process is the reaper of orphans meanwhile: servers become its children.
class Scenario {
public:
    // `body` runs in the child; it can `say` a byte, and `wait` for one from the test.
    struct Side {
        int out, in;
        void say(char c) const;
        char wait() const;  // throws when the other side is gone
    };
    explicit Scenario(const std::function<void(const Side&)>& body, unsigned device_mode = 0666);
    ~Scenario();

    const Side& side() const { return side_; }
    int pid() const { return pid_; }
    // Children of the test but the scenario itself: the servers.
    std::vector<int> servers() const;
    // Waits for the end of a child: its wait status. -1: the scenario itself.
    int end_of(int pid = -1);
    // Waits for the end of every child that is left; returns how many servers ended by _exit(0).
    int end_of_all();

private:
    Side side_{-1, -1};
    int pid_ = -1;
};

// Waits for it, a minute at most.
bool comes_true(const std::function<bool()>& what);
// A letter for each thread of the process, as ps(1) has them.
std::string states_of(int pid);
// Can the kernel be told to end a FUSE connection, whatever its server does?
boost::test_tools::assertion_result can_end_connections(boost::unit_test::test_unit_id);

void enter_user_namespace();  // uid and gid keep their numbers
std::string mounts();         // lines of /proc/self/mountinfo with our file system type

}  // namespace user
