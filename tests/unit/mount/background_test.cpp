// What a server keeps of the process that it was forked from.
#include "mount/background.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <functional>
#include <string>

namespace {

// What `question` answers in a child that went to the background.
std::string in_background(const std::function<std::string()>& question) {
    int pair[2];
    BOOST_REQUIRE(pipe2(pair, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        sg::enter_background({pair[1]});
        const std::string answer = question();
        _exit(write(pair[1], answer.data(), answer.size()) == static_cast<ssize_t>(answer.size()) ? 0 : 1);
    }
    close(pair[1]);
    std::string out(4096, '\0');
    const ssize_t n = read(pair[0], out.data(), out.size());
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    close(pair[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    BOOST_TEST(status == 0);
    return out;
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

BOOST_AUTO_TEST_SUITE(background)

BOOST_AUTO_TEST_CASE(only_what_readers_of_images_live_on_stays_open) {
    char name[] = "/tmp/mount-test-file.XXXXXX";
    const int lock = mkostemp(name, O_CLOEXEC);
    const int image = open(name, O_RDONLY | O_CLOEXEC);
    const int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int path = open("/tmp", O_PATH | O_CLOEXEC);
    const int inherited = open(name, O_RDONLY);
    const int name_space = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    const int device = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    int pipes[2];
    BOOST_REQUIRE(pipe2(pipes, O_CLOEXEC) == 0);
    unlink(name);
    const std::string open_ones = in_background([&] {
        std::string s;
        for (const int fd : {image, directory, path, lock, inherited, name_space, device, pipes[0], pipes[1]})
            s += is_open(fd) ? '+' : '-';
        return s;
    });
    BOOST_TEST(open_ones == "+++------");
    for (const int fd : {image, directory, path, lock, inherited, name_space, device, pipes[0], pipes[1]}) close(fd);
}

BOOST_AUTO_TEST_CASE(the_standard_descriptors_are_the_null_device) {
    BOOST_TEST(in_background([] {
                   struct stat null, st;
                   stat("/dev/null", &null);
                   std::string s;
                   for (int fd = 0; fd < 3; ++fd) s += fstat(fd, &st) == 0 && st.st_rdev == null.st_rdev ? '+' : '-';
                   return s;
               }) == "+++");
}

BOOST_AUTO_TEST_CASE(session_directory_name_and_signals_are_its_own) {
    signal(SIGUSR1, SIG_IGN);
    BOOST_TEST(in_background([] {
                   char text[4096], comm[17] = {};
                   prctl(PR_GET_NAME, comm);
                   sigset_t blocked;
                   sigprocmask(SIG_SETMASK, nullptr, &blocked);
                   struct sigaction action;
                   sigaction(SIGUSR1, nullptr, &action);
                   std::string s = getcwd(text, sizeof text) ? text : "?";
                   s += std::string(" ") + comm + (getsid(0) == getpid() ? " session" : "");
                   s += sigismember(&blocked, SIGTERM) ? " blocked" : "";
                   s += sigismember(&blocked, SIGSEGV) ? "" : " faults";
                   s += action.sa_handler == SIG_DFL ? " default" : "";
                   return s + (prctl(PR_GET_DUMPABLE) == 0 ? " closed" : "");
               }) == "/ singularity-fs session blocked faults default closed");
    signal(SIGUSR1, SIG_DFL);
}

BOOST_AUTO_TEST_SUITE_END()
