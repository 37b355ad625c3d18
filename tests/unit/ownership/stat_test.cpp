// What programs are told of files by stat and its kin, with Scope::stat.
#include <dirent.h>
#include <linux/stat.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include <climits>
#include <map>
#include <vector>

#include "owners_build.hpp"
#include "ownership/told.hpp"

using namespace owners_test;

namespace {

constexpr Scope told{.owners = true, .stat = true};

std::string owner_of(const struct stat& st) { return std::to_string(st.st_uid) + ":" + std::to_string(st.st_gid); }
std::string stat_owner(const std::string& path) {
    struct stat st;
    return stat(path.c_str(), &st) == 0 ? owner_of(st) : std::strerror(errno);
}
std::string lstat_owner(const std::string& path) {
    struct stat st;
    return lstat(path.c_str(), &st) == 0 ? owner_of(st) : std::strerror(errno);
}
std::string at_owner(int directory, const char* path, int flags) {
    struct stat st;
    return fstatat(directory, path, &st, flags) == 0 ? owner_of(st) : std::strerror(errno);
}
std::string extended_owner(int directory, const char* path, int flags) {
    struct statx st;
    if (syscall(SYS_statx, directory, path, flags, STATX_BASIC_STATS, &st) != 0) return std::strerror(errno);
    return std::to_string(st.stx_uid) + ":" + std::to_string(st.stx_gid);
}

#define SAYS(what, wanted) \
    if (const std::string is = (what); is != (wanted)) return std::string(#what) + " says " + is + ", not " + (wanted)

// Names and types as getdents64 tells them, with a buffer of that size.
std::map<std::string, int> listed(const char* path, size_t size) {
    std::map<std::string, int> out;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    std::vector<char> buffer(size);
    for (long n = 0; (n = syscall(SYS_getdents64, fd, buffer.data(), buffer.size())) > 0;)
        for (long at = 0; at < n;) {
            uint16_t length = 0;
            std::memcpy(&length, buffer.data() + at + 16, sizeof length);
            out[buffer.data() + at + 19] += buffer[static_cast<size_t>(at) + 18] + 1000;  // twice: more than 1999
            at += length;
        }
    close(fd);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(stat_emulation)

BOOST_AUTO_TEST_CASE(every_way_to_ask_tells_the_owner_that_was_recorded) {
    Build b;
    b.run(
        []() -> std::string {
            MUST(make("a", 0640) && chown("a", 1, 2) == 0 && make("roots"));
            MUST(symlink("a", "link") == 0 && lchown("link", 3, 4) == 0);
            MUST(mkdir("d", 0755) == 0 && chown("d", 5, 6) == 0 && make("d/f") && chown("d/f", 7, 70000) == 0);
            SAYS(stat_owner("a"), "1:2");
            SAYS(stat_owner("link"), "1:2");
            SAYS(lstat_owner("link"), "3:4");
            SAYS(lstat_owner("d/../d/f"), "7:70000");
            SAYS(stat_owner("d/"), "5:6");
            SAYS(stat_owner("roots"), "0:0");
            char here[PATH_MAX];
            MUST(getcwd(here, sizeof here));
            SAYS(at_owner(-1, (std::string(here) + "/a").c_str(), 0), "1:2");
            const int d = open("d", O_RDONLY), path_only = open("link", O_PATH | O_NOFOLLOW), a = open("a", O_RDONLY);
            struct stat st;
            MUST(fstat(d, &st) == 0);
            SAYS(owner_of(st), "5:6");
            MUST(fstat(path_only, &st) == 0 && S_ISLNK(st.st_mode));
            SAYS(owner_of(st), "3:4");
            MUST(syscall(SYS_fstat, a, &st) == 0);
            SAYS(owner_of(st), "1:2");
            SAYS(at_owner(d, "f", 0), "7:70000");
            SAYS(at_owner(d, "../link", AT_SYMLINK_NOFOLLOW), "3:4");
            SAYS(at_owner(d, "", AT_EMPTY_PATH), "5:6");
            SAYS(extended_owner(d, "f", 0), "7:70000");
            SAYS(extended_owner(a, "", AT_EMPTY_PATH), "1:2");
            SAYS(extended_owner(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC), "3:4");
            SAYS(stat_owner("/proc/self/fd/" + std::to_string(a)), "1:2");
            SAYS(stat_owner("/proc/thread-self/cwd/a"), "1:2");
            SAYS(lstat_owner("/proc/self/fd/" + std::to_string(a)), "0:0");
            MUST(fchdir(d) == 0);
            SAYS(at_owner(AT_FDCWD, "", AT_EMPTY_PATH), "5:6");
            SAYS(stat_owner("f"), "7:70000");
            // What else is told of it is true.
            MUST(stat("../a", &st) == 0 && st.st_mode == (S_IFREG | 0640) && st.st_nlink == 1);
            const ino_t inode = st.st_ino;
            MUST(fstatat(d, "../roots", &st, 0) == 0 && st.st_ino != inode);
            // A path of no bytes at all is an empty one on newer kernels.
            struct statx x;
            const long no_path = syscall(SYS_statx, a, nullptr, AT_EMPTY_PATH, STATX_BASIC_STATS, &x);
            MUST(no_path == 0 ? x.stx_uid == 1 : errno == EFAULT);
            return "";
        },
        {}, told);
}

BOOST_AUTO_TEST_CASE(without_the_switch_everything_is_roots) {
    Build b;
    b.run([]() -> std::string {
        MUST(make("a") && chown("a", 1, 2) == 0 && mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0);
        SAYS(stat_owner("a"), "0:0");
        SAYS(extended_owner(AT_FDCWD, "a", 0), "0:0");
        struct stat st;
        MUST(lstat("null", &st) == 0 && S_ISREG(st.st_mode));
        return "";
    });
}

BOOST_AUTO_TEST_CASE(devices_are_shown_as_devices_whoever_knows_the_owners) {
    const auto script = []() -> std::string {
        umask(022);
        MUST(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && chmod("null", 02600) == 0);
        MUST(mknod("disk", S_IFBLK | 0660, makedev(259, 70000)) == 0);
        struct stat st;
        MUST(lstat("null", &st) == 0 && st.st_mode == (S_IFCHR | 02600) && st.st_rdev == makedev(1, 3) &&
             st.st_size == 0);
        MUST(stat("disk", &st) == 0 && st.st_mode == (S_IFBLK | 0640) && st.st_rdev == makedev(259, 70000));
        struct statx x;
        MUST(syscall(SYS_statx, AT_FDCWD, "disk", 0, STATX_BASIC_STATS, &x) == 0 && x.stx_mode == (S_IFBLK | 0640));
        MUST(x.stx_rdev_major == 259 && x.stx_rdev_minor == 70000 && x.stx_uid == 0);
        // As cp -a does it.
        MUST(mknod("copy", st.st_mode, st.st_rdev) == 0 && lstat("copy", &st) == 0 && S_ISBLK(st.st_mode));
        MUST(unlink("copy") == 0 && lstat("copy", &st) != 0 && make("copy") && lstat("copy", &st) == 0 &&
             S_ISREG(st.st_mode));
        return "";
    };
    for (const bool owners : {true, false}) {
        Build b;
        b.run(script, {}, {.owners = owners, .stat = true});
    }
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_a_question_is_told_as_the_kernel_tells_it) {
    Build b;
    b.run(
        []() -> std::string {
            MUST(make("a") && chown("a", 1, 2) == 0 && make("roots") && symlink("loop", "loop") == 0 &&
                 symlink("nowhere", "dangling") == 0);
            struct stat st;
            struct statx x;
            REFUSED(stat("nothing", &st), ENOENT);
            REFUSED(stat("a/b", &st), ENOTDIR);
            REFUSED(stat("a/", &st), ENOTDIR);
            REFUSED(stat("loop", &st), ELOOP);
            REFUSED(stat("dangling", &st), ENOENT);
            MUST(lstat("dangling", &st) == 0);
            REFUSED(stat("", &st), ENOENT);
            REFUSED(stat(std::string(5000, 'a').c_str(), &st), ENAMETOOLONG);
            REFUSED(stat(std::string(300, 'a').c_str(), &st), ENAMETOOLONG);
            std::string longest;
            while (longest.size() < PATH_MAX - 3) longest += "./";
            SAYS(stat_owner(longest.substr(0, PATH_MAX - 4) + "/a"), "1:2");
            REFUSED(fstatat(-1, "a", &st, 0), EBADF);
            REFUSED(fstat(-1, &st), EBADF);
            REFUSED(syscall(SYS_fstat, 999, &st), EBADF);
            const int file = open("roots", O_RDONLY);
            REFUSED(fstatat(file, "a", &st, 0), ENOTDIR);
            REFUSED(fstatat(AT_FDCWD, "a", &st, 0x40000), EINVAL);
            REFUSED(syscall(SYS_statx, AT_FDCWD, "a", 0x40000, STATX_BASIC_STATS, &x), EINVAL);
            REFUSED(syscall(SYS_statx, AT_FDCWD, "a", 0, 0x80000000u, &x), EINVAL);
            for (const char* name : {"a", "roots"}) {
                REFUSED(syscall(SYS_newfstatat, AT_FDCWD, name, 8, 0), EFAULT);
                REFUSED(syscall(SYS_statx, AT_FDCWD, name, 0, STATX_BASIC_STATS, 8), EFAULT);
            }
            REFUSED(syscall(SYS_newfstatat, AT_FDCWD, 8, &st, 0), EFAULT);
            REFUSED(syscall(SYS_newfstatat, AT_FDCWD, ~0ull - 2, &st, 0), EFAULT);
            REFUSED(syscall(SYS_statx, AT_FDCWD, nullptr, 0, STATX_BASIC_STATS, &x), EFAULT);
            // A path that ends where the memory does, and an answer that has no room there.
            const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
            char* memory =
                static_cast<char*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
            MUST(memory != MAP_FAILED && munmap(memory + page, page) == 0);
            std::memcpy(memory + page - 2, "a", 2);
            MUST(syscall(SYS_newfstatat, AT_FDCWD, memory + page - 2, &st, 0) == 0 && st.st_uid == 1);
            REFUSED(syscall(SYS_newfstatat, AT_FDCWD, "a", memory + page - 8, 0), EFAULT);
            // What is no file of a directory.
            int ends[2];
            MUST(pipe(ends) == 0 && fstat(ends[0], &st) == 0 && S_ISFIFO(st.st_mode));
            MUST(stat("/proc/self/exe", &st) == 0 && stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
            return "";
        },
        {}, told);
}

BOOST_AUTO_TEST_CASE(a_program_in_a_root_of_its_own_is_told_of_files_there) {
    Build b;
    b.run(
        []() -> std::string {
            MUST(make("f") && chown("f", 1, 1) == 0 && mkdir("jail", 0755) == 0 && mkdir("jail/d", 0755) == 0);
            MUST(make("jail/f") && chown("jail/f", 2, 2) == 0 && symlink("/../../f", "jail/d/link") == 0);
            const int outside = open(".", O_PATH);
            MUST(chroot("jail") == 0 && chdir("/d") == 0);
            SAYS(stat_owner("/f"), "2:2");
            SAYS(stat_owner("../../../f"), "2:2");
            SAYS(stat_owner("link"), "2:2");
            SAYS(at_owner(outside, "f", 0), "1:1");
            SAYS(stat_owner("/jail/f"), std::strerror(ENOENT));
            return "";
        },
        {}, told);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_replaced_all_the_time_is_one_or_the_other) {
    Build b;
    b.run(
        []() -> std::string {
            MUST(make("p") && chown("p", 1, 1) == 0);
            const pid_t child = fork();
            if (child == 0)
                for (unsigned i = 0;; ++i)
                    if (!make("new") || chown("new", 1 + i % 2, 1 + i % 2) != 0 || rename("new", "p") != 0) _exit(1);
            std::string wrong;
            for (int i = 0; i < 1500 && wrong.empty(); ++i) {
                const std::string is = stat_owner("p");
                if (is != "1:1" && is != "2:2") wrong = "it says " + is;
            }
            kill(child, SIGKILL);
            int status = 0;
            MUST(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
            return wrong;
        },
        {}, told);
}

BOOST_AUTO_TEST_CASE(programs_that_are_killed_while_they_ask_harm_nobody) {
    Build b;
    b.run(
        []() -> std::string {
            MUST(make("a") && chown("a", 1, 2) == 0 && mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0);
            for (int i = 0; i < 50; ++i) {
                const pid_t child = fork();
                if (child == 0)
                    for (;;) (void)stat_owner("a"), (void)listed(".", 64);
                kill(child, SIGKILL);
                MUST(waitpid(child, nullptr, 0) == child);
            }
            SAYS(stat_owner("a"), "1:2");
            return "";
        },
        {}, told);
}

BOOST_AUTO_TEST_CASE(who_copies_and_replaces_by_what_stat_says_is_not_second_guessed) {
    Build b;
    if (!b.run(
            []() -> std::string {
                MUST(make("shadow", 0640) && chown("shadow", 0, 42) == 0 && make("shadow-") &&
                     chown("shadow-", 0, 0) == 0);
                MUST(make("new") && chown("new", 0, 0) == 0 && rename("new", "shadow") == 0);
                return "";
            },
            {}, told))
        return;
    BOOST_TEST(b.owner("shadow-") == "0:0");
    BOOST_TEST(b.owner("shadow") == "0:0");
}

BOOST_AUTO_TEST_CASE(an_open_file_without_a_name_keeps_the_owner_that_it_was_given) {
    Build b;
    b.run(
        []() -> std::string {
            const int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
            struct stat st;
            MUST(fd >= 0 && unlink("f") == 0 && fchown(fd, 8, 9) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
            SAYS(owner_of(st), "8:9");
            return "";
        },
        {}, told);
}

BOOST_AUTO_TEST_CASE(directories_do_not_call_a_device_a_plain_file) {
    Build b;
    b.run(
        []() -> std::string {
            MUST(mkdir("d", 0755) == 0);
            for (int i = 0; i < 40; ++i) MUST(make(("d/file" + std::to_string(i)).c_str()));
            const auto before = listed("d", 4096);
            MUST(mknod("d/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
            for (const size_t size : {64u, 200u, 32768u}) {
                const auto after = listed("d", size);
                MUST(after.size() == before.size() + 1 && after.at("null") == 1000 + DT_UNKNOWN);
                for (const auto& [name, type] : before) MUST(after.at(name) == type);
            }
            const int directory = open("d", O_RDONLY | O_DIRECTORY);
            char small[8];
            REFUSED(syscall(SYS_getdents64, directory, small, sizeof small), EINVAL);
            REFUSED(syscall(SYS_getdents64, directory, 8, 4096), EFAULT);
            REFUSED(syscall(SYS_getdents64, 999, small, sizeof small), EBADF);
            const int file = open("d/file1", O_RDONLY);
            REFUSED(syscall(SYS_getdents64, file, small, sizeof small), ENOTDIR);
            // Nothing was skipped by the calls that failed, nor is it where signals come in between.
            struct sigaction handler {};
            handler.sa_handler = [](int) {};
            handler.sa_flags = SA_RESTART;
            const itimerval often{{0, 300}, {0, 300}}, never{};
            MUST(sigaction(SIGALRM, &handler, nullptr) == 0 && setitimer(ITIMER_REAL, &often, nullptr) == 0);
            for (int i = 0; i < 50; ++i) MUST(listed("d", 128).size() == before.size() + 1);
            MUST(setitimer(ITIMER_REAL, &never, nullptr) == 0);
            return "";
        },
        {}, told);
}

BOOST_AUTO_TEST_CASE(a_file_system_that_the_build_serves_itself_is_not_waited_for) {
    const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0) {
        BOOST_TEST_MESSAGE("skipped: no FUSE here");
        return;
    }
    close(device);
    Build b;
    b.run(
        []() -> std::string {
            MUST(make("a") && chown("a", 1, 2) == 0 && mkdir("served", 0755) == 0);
            MUST(unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
            SAYS(stat_owner("a"), "1:2");  // also in a copy of the mounts
            // One that never answers.
            const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
            const std::string options = "fd=" + std::to_string(fuse) + ",rootmode=40000,user_id=0,group_id=0";
            MUST(fuse >= 0);
            if (mount("test", "served", "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) return "";
            std::vector<pid_t> waiting;
            for (int i = 0; i < 5; ++i) {
                waiting.push_back(fork());
                if (waiting.back() != 0) continue;
                struct stat st;
                switch (i) {
                    case 0: (void)stat("served/x", &st); break;
                    case 1: (void)!chown("served/../served/x", 5, 6); break;
                    case 2: (void)!open("served/x", O_CREAT | O_WRONLY, 0644); break;
                    case 3: (void)mknod("served/x", S_IFCHR, 0); break;
                    case 4: (void)!lchown("served", 5, 6); break;
                }
                _exit(0);
            }
            alarm(60);  // instead of waiting for ever
            for (int i = 0; i < 50; ++i) SAYS(stat_owner("a"), "1:2");
            alarm(0);
            for (const pid_t p : waiting) kill(p, SIGKILL);
            close(fuse);
            for (const pid_t p : waiting) MUST(waitpid(p, nullptr, 0) == p);
            return "";
        },
        {}, told);
}

#if defined(__x86_64__)
BOOST_AUTO_TEST_CASE(programs_of_32_bit_x86_are_told_in_their_form) {
    if (!runs_i386()) return;
    // The form is the kernel's.
    char* low =
        static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    BOOST_REQUIRE(low != MAP_FAILED);
    const auto at = reinterpret_cast<long>(low);
    for (const char* name : {"/dev/null", "/etc/passwd", "/tmp", "/proc/self"}) {
        std::strcpy(low, name);
        struct stat st;
        BOOST_REQUIRE(lstat(name, &st) == 0);
        std::memset(low + 4096, 0, 256);
        BOOST_TEST(call_i386(196, at, at + 4096) == 0);  // lstat64
        BOOST_TEST((std::memcmp(low + 4096, i386_stat64(st).data(), 96) == 0), name);
    }
    Build b;
    b.run(
        [&]() -> std::string {
            MUST(make("a") && chown("a", 70000, 70001) == 0 && mknod("b", S_IFCHR | 0600, makedev(1, 3)) == 0);
            const auto field = [&](size_t offset) {
                uint32_t value = 0;
                std::memcpy(&value, low + 4096 + offset, sizeof value);
                return value;
            };
            std::strcpy(low, "a");
            MUST(call_i386(195, at, at + 4096) == 0 && field(24) == 70000 && field(28) == 70001);  // stat64
            MUST(call_i386(300, AT_FDCWD, at, at + 4096) == 0 && field(24) == 70000);              // fstatat64
            const int fd = open("a", O_RDONLY);
            MUST(call_i386(197, fd, at + 4096) == 0 && field(28) == 70001);  // fstat64
            MUST(call_i386(106, at, at + 4096) == 0);  // stat of the first days: as the kernel says
            std::strcpy(low, "b");
            MUST(call_i386(196, at, at + 4096) == 0 && field(16) == (S_IFCHR | 0600) && field(32) == 0x103);
            MUST(call_i386(195, at, 8) == -EFAULT);
            return "";
        },
        {}, told);
}
#endif

BOOST_AUTO_TEST_SUITE_END()
