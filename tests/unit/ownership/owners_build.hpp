// A build whose calls are really answered: in a user namespace of one id, through a filter and a supervisor.
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.hpp"
#include "ownership/filter.hpp"
#include "ownership/supervisor.hpp"

namespace owners_test {

using namespace sg::ownership;
namespace fs = std::filesystem;

inline void write_file(const char* path, const std::string& text) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(77);
    close(fd);
}

inline void hand_over(const std::string& work, Scope scope) {
    try {
        ask_supervisor(work, scope);
    } catch (const sg::Error& e) {
        _exit(e.message().starts_with("cannot set") ? 77 : 78);
    }
}

// A directory, and a program that runs in it as root of a user namespace with one id.
struct Build {
    Build() {
        std::string name = (fs::temp_directory_path() / "sg-owners-XXXXXX").string();
        BOOST_REQUIRE(mkdtemp(name.data()));
        top = name;
        fs::create_directory(top / "d");
    }
    ~Build() { fs::remove_all(top); }

    // False: this machine cannot. `script` gives "" or what went wrong.
    bool run(const std::function<std::string()>& script, const std::function<void(Supervisor&)>& before = {},
             Scope scope = {}) {
        int out[2], told[2];
        BOOST_REQUIRE(pipe(out) == 0 && pipe(told) == 0);
        const uid_t uid = geteuid();
        const gid_t gid = getegid();
        const pid_t child = fork();
        if (child == 0) {
            if (unshare(CLONE_NEWUSER) != 0) _exit(77);
            write_file("/proc/self/setgroups", "deny");
            write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1\n");
            write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1\n");
            try {
                Supervisor supervisor(top.string(), "", {}, {}, {}, scope);
                if (before) before(supervisor);
                const pid_t inner = fork();
                if (inner == 0) {
                    if (chdir((top / "d").c_str()) != 0) _exit(78);
                    hand_over(top.string(), scope);
                    const std::string wrong = script();
                    (void)!write(told[1], wrong.data(), wrong.size());
                    _exit(0);
                }
                int status = 0;
                if (waitpid(inner, &status, 0) != inner) _exit(78);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 79);
                close(told[1]);
                const std::string text = supervisor.record().text();
                if (write(out[1], text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(78);
            } catch (const std::exception& e) {
                const std::string what = e.what();
                (void)!write(told[1], what.data(), what.size());
                _exit(78);
            }
            _exit(0);
        }
        close(out[1]), close(told[1]);
        const std::string wrong = all(told[0]), text = all(out[0]);
        close(out[0]), close(told[0]);
        int status = 0;
        BOOST_REQUIRE(waitpid(child, &status, 0) == child);
        BOOST_REQUIRE(WIFEXITED(status));
        fs::remove(top / "owners");
        if (WEXITSTATUS(status) == 77) {
            BOOST_TEST_MESSAGE("skipped: no user namespaces or no notification of system calls here");
            return false;
        }
        BOOST_TEST(WEXITSTATUS(status) == 0);
        BOOST_TEST(wrong == "");
        if (!text.empty()) record = sg::OwnerRecord::parse(text);
        return true;
    }
    static std::string all(int fd) {
        std::string out;
        char buffer[65536];
        for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<size_t>(n));
        return out;
    }
    const sg::RecordedFile* recorded(const char* name) const {
        struct statx st {};
        BOOST_REQUIRE(statx(AT_FDCWD, (top / "d" / name).c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
                            &st) == 0);
        return record.find(sg::identity_of(st));
    }
    std::string owner(const char* name) const {
        const sg::RecordedFile* file = recorded(name);
        return file ? std::to_string(file->uid) + ":" + std::to_string(file->gid) : "none";
    }
    mode_t mode(const char* name) const {
        struct stat st;
        BOOST_REQUIRE(lstat((top / "d" / name).c_str(), &st) == 0);
        return st.st_mode & 07777;
    }
    fs::path top;
    sg::OwnerRecord record;
};

// For scripts: which step went wrong, with errno.
#define MUST(what) \
    if (!(what)) return std::string(#what) + ": " + std::strerror(errno)
#define REFUSED(what, number)              \
    if ((what) != -1 || errno != (number)) \
    return std::string(#what) + " was not refused as it should be: " + std::strerror(errno)

inline bool make(const char* name, mode_t mode = 0644) {
    const int fd = open(name, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, mode);
    return fd >= 0 && close(fd) == 0;
}

#if defined(__x86_64__)
// A call by 32-bit x86's numbers; all arguments below 4 GiB.
inline long call_i386(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
    long result = number;
    asm volatile("int $0x80" : "+a"(result) : "b"(a), "c"(b), "d"(c), "S"(d) : "memory", "r8", "r9", "r10", "r11");
    return static_cast<int32_t>(result);
}

// Whether this kernel runs such programs.
inline bool runs_i386() {
    const pid_t probe = fork();
    if (probe == 0) _exit(call_i386(20) == getpid() ? 0 : 1);
    int status = 0;
    BOOST_REQUIRE(waitpid(probe, &status, 0) == probe);
    if (status != 0) BOOST_TEST_MESSAGE("skipped: this kernel runs no 32-bit programs");
    return status == 0;
}
#endif

}  // namespace owners_test
