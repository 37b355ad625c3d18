// System calls that are really answered: in a user namespace of one id, through a filter and a supervisor.
#include "ownership/supervisor.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include "owners_build.hpp"

using namespace owners_test;

BOOST_AUTO_TEST_SUITE(supervisor)

BOOST_AUTO_TEST_CASE(every_way_to_give_a_file_to_somebody_is_recorded) {
    Build b;
    const bool ran = b.run([]() -> std::string {
        for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) MUST(make(name));
        MUST(chown("a", 1, 2) == 0);
        const int fd = open("b", O_RDONLY);
        MUST(fchown(fd, 3, 4) == 0);
        const int path_only = open("c", O_PATH);
        MUST(fchownat(path_only, "", 5, 6, AT_EMPTY_PATH) == 0);
        const int other = open("d", O_RDONLY);
        MUST(chown(("/proc/self/fd/" + std::to_string(other)).c_str(), 7, 8) == 0);
        MUST(symlink("e", "link") == 0);
        MUST(lchown("link", 9, 10) == 0);
        MUST(chown("link", 11, 12) == 0);
        char here[PATH_MAX];
        MUST(getcwd(here, sizeof here));
        MUST(fchownat(-1, (std::string(here) + "/../d/f").c_str(), 13, 14, AT_SYMLINK_NOFOLLOW) == 0);
        MUST(chown("g", 15, 16) == 0 && chown("g", -1, 17) == 0);
        MUST(chown(".", 18, 18) == 0);
        REFUSED(chown("nothing", 1, 1), ENOENT);
        REFUSED(chown("a/b", 1, 1), ENOTDIR);
        REFUSED(fchown(999, 1, 1), EBADF);
        REFUSED(fchownat(AT_FDCWD, "", 1, 1, 0), ENOENT);
        REFUSED(fchownat(AT_FDCWD, "a", 1, 1, 0x40000), EINVAL);
        return "";
    });
    if (!ran) return;
    BOOST_TEST(b.owner("a") == "1:2");
    BOOST_TEST(b.owner("b") == "3:4");
    BOOST_TEST(b.owner("c") == "5:6");
    BOOST_TEST(b.owner("d") == "7:8");
    BOOST_TEST(b.owner("link") == "9:10");
    BOOST_TEST(b.owner("e") == "11:12");
    BOOST_TEST(b.owner("f") == "13:14");
    BOOST_TEST(b.owner("g") == "15:17");
    BOOST_TEST(b.owner(".") == "18:18");
}

BOOST_AUTO_TEST_CASE(a_new_owner_takes_the_set_user_id_bit_away_and_a_removed_file_takes_its_record_with_it) {
    Build b;
    if (!b.run([]() -> std::string {
            MUST(make("s", 0644) && chmod("s", 04755) == 0 && chown("s", 1, 1) == 0);
            MUST(make("x") && chown("x", 5, 5) == 0 && unlink("x") == 0 && make("x"));
            return "";
        }))
        return;
    BOOST_TEST(b.owner("s") == "1:1");
    BOOST_TEST(b.mode("s") == 0755u);
    BOOST_TEST(b.owner("x") == "none");
}

BOOST_AUTO_TEST_CASE(devices_are_recorded_and_other_nodes_are_made) {
    Build b;
    if (!b.run([]() -> std::string {
            umask(022);
            MUST(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0);
            MUST(chmod("null", 0600) == 0 && chown("null", 0, 5) == 0);
            MUST(mknodat(AT_FDCWD, "disk", S_IFBLK | 0660, makedev(259, 70000)) == 0);
            MUST(mkfifo("pipe", 0600) == 0);
            REFUSED(mknod("null", S_IFCHR, makedev(1, 3)), EEXIST);
            REFUSED(mknod("no/where", S_IFCHR, makedev(1, 3)), ENOENT);
            return "";
        }))
        return;
    const sg::RecordedFile* null = b.recorded("null");
    BOOST_REQUIRE(null);
    BOOST_TEST(null->device_type == static_cast<uint32_t>(S_IFCHR));
    BOOST_TEST(null->major == 1u);
    BOOST_TEST(null->minor == 3u);
    BOOST_TEST(b.owner("null") == "0:5");
    BOOST_TEST(b.mode("null") == 0600u);
    const sg::RecordedFile* disk = b.recorded("disk");
    BOOST_REQUIRE(disk);
    BOOST_TEST(disk->device_type == static_cast<uint32_t>(S_IFBLK));
    BOOST_TEST(disk->major == 259u);
    BOOST_TEST(disk->minor == 70000u);
    BOOST_TEST(b.mode("disk") == 0640u);
    BOOST_TEST(fs::is_fifo(b.top / "d/pipe"));
}

BOOST_AUTO_TEST_CASE(attributes_of_roots_are_kept_told_and_taken_away) {
    Build b;
    if (!b.run([]() -> std::string {
            MUST(make("a") && symlink("a", "l") == 0);
            char text[64];
            MUST(setxattr("a", "security.ima", "one", 3, 0) == 0);
            MUST(setxattr("a", "trusted.mine", "two\0", 4, XATTR_CREATE) == 0);
            MUST(lsetxattr("l", "trusted.link", "", 0, 0) == 0);
            MUST(getxattr("a", "security.ima", text, sizeof text) == 3 && std::memcmp(text, "one", 3) == 0);
            MUST(getxattr("a", "trusted.mine", nullptr, 0) == 4);
            REFUSED(getxattr("a", "trusted.mine", text, 3), ERANGE);
            REFUSED(setxattr("a", "trusted.mine", "x", 1, XATTR_CREATE), EEXIST);
            REFUSED(setxattr("a", "trusted.other", "x", 1, XATTR_REPLACE), ENODATA);
            REFUSED(removexattr("a", "trusted.other"), ENODATA);
            REFUSED(syscall(SYS_setxattr, "a", "trusted.mine", text, 65537ul, 0), E2BIG);
            char list[256];
            const ssize_t n = listxattr("a", list, sizeof list);
            MUST(n > 0 && std::string(list, static_cast<size_t>(n)).find(std::string("trusted.mine\0", 13)) !=
                              std::string::npos);
            const int fd = open("a", O_RDONLY);
            MUST(fremovexattr(fd, "security.ima") == 0);
            return "";
        }))
        return;
    BOOST_REQUIRE(b.recorded("a"));
    BOOST_TEST((b.recorded("a")->xattrs ==
                std::map<std::string, std::string, std::less<>>{{"trusted.mine", std::string("two\0", 4)}}));
    BOOST_TEST(b.recorded("l")->xattrs.count("trusted.link") == 1u);
}

BOOST_AUTO_TEST_CASE(who_became_somebody_is_it_and_so_are_its_files) {
    Build b;
    if (!b.run([]() -> std::string {
            MUST(make("before") && chown("before", 33, 33) == 0 && make("roots"));
            const gid_t groups[] = {4, 33};
            MUST(setgroups(2, groups) == 0 && setresgid(33, 33, 33) == 0 && setresuid(33, 33, 33) == 0);
            uid_t r = 0, e = 0, s = 0;
            gid_t list[8] = {};
            MUST(getuid() == 33 && geteuid() == 33 && getgid() == 33 && getegid() == 33);
            MUST(getresuid(&r, &e, &s) == 0 && r == 33 && e == 33 && s == 33);
            MUST(getgroups(8, list) == 2 && list[0] == 4 && list[1] == 33);
            REFUSED(getgroups(1, list), EINVAL);
            REFUSED(seteuid(0), EPERM);
            REFUSED(setuid(0), EPERM);
            REFUSED(setgroups(0, nullptr), EPERM);
            REFUSED(chown("roots", 33, 33), EPERM);
            REFUSED(chown("before", 0, -1), EPERM);
            REFUSED(mknod("device", S_IFCHR, makedev(1, 3)), EPERM);
            REFUSED(setxattr("before", "trusted.x", "", 0, 0), EPERM);
            MUST(chown("before", 33, 4) == 0);
            umask(027);
            const pid_t child = fork();
            if (child == 0) {
                const int fd = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0666);
                const bool fine = fd >= 0 && write(fd, "text", 4) == 4 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) &&
                                  (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR && mkdir("directory", 0777) == 0 &&
                                  symlink("file", "link") == 0 && mkfifo("pipe", 0666) == 0 &&
                                  mkdirat(open("directory", O_PATH), "below/", 0700) == 0;
                _exit(fine ? 0 : 1);
            }
            int status = 0;
            MUST(waitpid(child, &status, 0) == child && status == 0);
            REFUSED(mkdir("directory", 0777), EEXIST);
            REFUSED(open("file", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
            const int again = open("file", O_CREAT | O_RDONLY | O_TRUNC, 0666);
            MUST(again >= 0 && !(fcntl(again, F_GETFD) & FD_CLOEXEC));
            return "";
        }))
        return;
    BOOST_TEST(b.owner("before") == "33:4");
    for (const char* name : {"file", "directory", "link", "pipe", "directory/below"})
        BOOST_TEST(b.owner(name) == "33:33", name);
    BOOST_TEST(b.mode("file") == 0640u);
    BOOST_TEST(b.mode("directory") == 0750u);
    BOOST_TEST(b.owner("roots") == "none");
}

BOOST_AUTO_TEST_CASE(files_in_a_set_group_id_directory_belong_to_its_group) {
    Build b;
    if (!b.run([]() -> std::string {
            MUST(mkdir("g", 0755) == 0 && chown("g", 0, 50) == 0 && chmod("g", 02775) == 0);
            MUST(make("g/file") && mkdir("g/sub", 0755) == 0 && make("g/sub/file"));
            MUST(symlink("g/through", "link") == 0 && symlink("g", "directory") == 0);
            MUST(make("directory/file2"));
            const int through = open("link", O_CREAT | O_WRONLY, 0644);
            MUST(through >= 0);
            MUST(symlink("x", "directory/symlink") == 0 && mkfifo("directory/fifo", 0644) == 0);
            return "";
        }))
        return;
    BOOST_TEST(b.owner("g/file") == "0:50");
    BOOST_TEST(b.owner("g/sub/file") == "0:50");
    for (const char* name : {"g/through", "g/file2", "g/symlink", "g/fifo"}) BOOST_TEST(b.owner(name) == "0:50", name);
    BOOST_TEST((b.mode("g/sub") & S_ISGID) != 0u);
}

BOOST_AUTO_TEST_CASE(a_program_that_keeps_its_capabilities_may_use_them) {
    Build b;
    b.run([]() -> std::string {
        MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
        MUST(setresuid(33, 33, 33) == 0);
        REFUSED(setresgid(5, 5, 5), EPERM);
        struct {
            uint32_t version;
            int pid;
        } header{0x20080522, 0};
        struct {
            uint32_t effective, permitted, inheritable;
        } sets[2] = {};
        MUST(syscall(SYS_capget, &header, sets) == 0 && sets[0].effective == 0 && sets[0].permitted != 0);
        sets[0].effective = sets[0].permitted = 1u << 6;  // CAP_SETGID
        sets[1].permitted = 0;
        MUST(syscall(SYS_capset, &header, sets) == 0);
        MUST(setresgid(5, 5, 5) == 0 && getgid() == 5);
        header.pid = getpid();
        MUST(syscall(SYS_capget, &header, sets) == 0 && sets[0].permitted == 1u << 6);
        return "";
    });
}

BOOST_AUTO_TEST_CASE(owners_that_stat_cannot_tell_come_back_where_programs_replace_a_file) {
    Build b;
    if (!b.run([]() -> std::string {
            MUST(make("shadow", 0640) && chown("shadow", 0, 42) == 0);
            // useradd: a copy of the old one, a new one, both given to whom stat named.
            MUST(make("shadow-") && chown("shadow-", 0, 0) == 0);
            MUST(make("shadow+") && chown("shadow+", 0, 0) == 0 && rename("shadow+", "shadow") == 0);
            MUST(make("given") && chown("given", 3, 3) == 0 && make("sedAbCdEf") && chown("sedAbCdEf", 4, 4) == 0 &&
                 rename("sedAbCdEf", "given") == 0);
            MUST(make("packed") && chown("packed", 3, 3) == 0 && make("packed.dpkg-new") &&
                 chown("packed.dpkg-new", 0, 0) == 0 && rename("packed.dpkg-new", "packed") == 0);
            MUST(make("plain") && chown("plain", 3, 3) == 0 && make("new") && rename("new", "plain") == 0);
            return "";
        }))
        return;
    BOOST_TEST(b.owner("shadow") == "0:42");
    BOOST_TEST(b.owner("shadow-") == "0:42");
    BOOST_TEST(b.owner("given") == "4:4");
    BOOST_TEST(b.owner("packed") == "0:0");
    BOOST_TEST(b.owner("plain") == "none");
}

BOOST_AUTO_TEST_CASE(addresses_that_hold_nothing_are_refused_as_the_kernel_does) {
    Build b;
    b.run([]() -> std::string {
        MUST(make("a"));
        const long page = sysconf(_SC_PAGESIZE);
        char* memory = static_cast<char*>(
            mmap(nullptr, static_cast<size_t>(2 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        MUST(memory != MAP_FAILED && munmap(memory + page, static_cast<size_t>(page)) == 0);
        std::memset(memory, 'x', static_cast<size_t>(page));
        REFUSED(chown(memory + page - 2, 1, 1), EFAULT);
        std::memcpy(memory + page - 2, "a", 2);  // ends where the memory does
        MUST(chown(memory + page - 2, 1, 1) == 0);
        REFUSED(chown(reinterpret_cast<const char*>(8), 1, 1), EFAULT);
        REFUSED(chown(reinterpret_cast<const char*>(~0ull - 2), 1, 1), EFAULT);
        REFUSED(chown((std::string(5000, 'a')).c_str(), 1, 1), ENAMETOOLONG);
        REFUSED(syscall(SYS_setgroups, 2, 8), EFAULT);
        REFUSED(syscall(SYS_setgroups, 65537, memory), EINVAL);
        MUST(setresuid(1, 1, 1) == 0);
        REFUSED(syscall(SYS_getresuid, 8, 8, 8), EFAULT);
        return "";
    });
}

#if defined(__x86_64__)
BOOST_AUTO_TEST_CASE(calls_of_32_bit_programs_are_understood_by_their_own_numbers) {
    if (!runs_i386()) return;
    Build b;
    if (!b.run([]() -> std::string {
            MUST(make("a") && make("b"));
            char* low = static_cast<char*>(
                mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
            MUST(low != MAP_FAILED);
            std::strcpy(low, "a");
            std::strcpy(low + 8, "b");
            const long at = reinterpret_cast<long>(low);
            MUST(call_i386(212, at, 70000, 70001) == 0);  // chown32
            MUST(call_i386(182, at + 8, 7, 8) == 0);      // chown, 16 bits
            MUST(call_i386(182, at + 8, 0xffff, 9) == 0);
            MUST(call_i386(213, 70000) == 0);                      // setuid32
            MUST(call_i386(199) == 70000);                         // getuid32
            MUST(call_i386(24) == 65534);                          // getuid, which cannot say so
            MUST(call_i386(165, at + 16, at + 18, at + 20) == 0);  // getresuid
            uint16_t ids[3];
            std::memcpy(ids, low + 16, sizeof ids);
            MUST(ids[0] == 65534 && ids[1] == 65534 && ids[2] == 65534);
            MUST(call_i386(23, 0) == -EPERM);  // setuid
            MUST(getuid() == 70000);
            return "";
        }))
        return;
    BOOST_TEST(b.owner("a") == "70000:70001");
    BOOST_TEST(b.owner("b") == "7:9");
}
#endif

BOOST_AUTO_TEST_CASE(what_is_known_from_elsewhere_is_taken_and_a_killed_program_harms_nobody) {
    Build b;
    std::ofstream(b.top / "d/known") << "x";
    struct statx st {};
    BOOST_REQUIRE(statx(AT_FDCWD, (b.top / "d/known").c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &st) == 0);
    if (!b.run(
            []() -> std::string {
                for (int i = 0; i < 50; ++i) {
                    const pid_t child = fork();
                    if (child == 0)
                        for (;;) (void)!chown("known", 1, -1);
                    kill(child, SIGKILL);
                    MUST(waitpid(child, nullptr, 0) == child);
                }
                MUST(chown("known", 2, -1) == 0);
                return "";
            },
            [&](Supervisor& s) {
                sg::OwnerRecord known;
                known.add(sg::identity_of(st)) = {10, 11, 0, 0, 0, {}};
                s.know(known);
            }))
        return;
    BOOST_TEST(b.owner("known") == "2:11");
}

BOOST_AUTO_TEST_CASE(a_signal_does_not_make_a_call_be_answered_twice) {
    utsname kernel{};
    int major = 0, minor = 0;
    BOOST_REQUIRE(uname(&kernel) == 0 && std::sscanf(kernel.release, "%d.%d", &major, &minor) == 2);
    if (std::pair(major, minor) < std::pair(5, 19)) {
        BOOST_TEST_MESSAGE("skipped: this kernel lets signals interrupt calls that are being answered");
        return;
    }
    Build b;
    b.run([]() -> std::string {
        MUST(mkdir("open", 0777) == 0 && setresgid(7, 7, 7) == 0 && setresuid(7, 7, 7) == 0);
        struct sigaction handler {};
        handler.sa_handler = [](int) {};
        handler.sa_flags = SA_RESTART;
        const itimerval often{{0, 200}, {0, 200}}, never{};
        MUST(sigaction(SIGALRM, &handler, nullptr) == 0 && setitimer(ITIMER_REAL, &often, nullptr) == 0);
        for (int i = 0; i < 500; ++i) MUST(mkdir(("open/" + std::to_string(i)).c_str(), 0700) == 0);
        MUST(setitimer(ITIMER_REAL, &never, nullptr) == 0);
        return "";
    });
}

BOOST_AUTO_TEST_CASE(files_made_by_openat2_and_without_a_name_have_owners_too) {
    Build b;
    const bool ran = b.run([]() -> std::string {
        umask(022);
        MUST(mkdir("open", 0777) == 0);
        const auto made = [](const char* path, uint64_t resolve) {
            struct open_how how {};
            how.flags = O_CREAT | O_WRONLY | O_CLOEXEC;
            how.mode = 0666;
            how.resolve = resolve;
            const long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
            return fd >= 0 && close(static_cast<int>(fd)) == 0;
        };
        MUST(made("of-root", 0));
        // Without a name, given away, then named: as systemd's tools write files.
        int fd = open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);
        MUST(fd >= 0 || errno == EOPNOTSUPP);
        if (fd >= 0) {
            MUST(fchown(fd, 12, 34) == 0);
            MUST(linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), AT_FDCWD, "given", AT_SYMLINK_FOLLOW) == 0);
            REFUSED(linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), AT_FDCWD, "of-root", AT_SYMLINK_FOLLOW), EEXIST);
            close(fd);
        }
        MUST(syscall(SYS_setresgid, 8, 8, 8) == 0 && syscall(SYS_setresuid, 7, 7, 7) == 0);
        MUST(made("open/plain", 0) && made("open/beneath", RESOLVE_BENEATH) && made("open/rooted", RESOLVE_IN_ROOT));
        REFUSED(syscall(SYS_io_uring_setup, 1, nullptr), ENOSYS);
        fd = open("open", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);
        if (fd >= 0) {
            MUST(linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), AT_FDCWD, "open/own", AT_SYMLINK_FOLLOW) == 0);
            close(fd);
        }
        return "";
    });
    if (!ran) return;
    BOOST_TEST(b.owner("of-root") == "none");
    BOOST_TEST(b.owner("open/plain") == "7:8");
    BOOST_TEST(b.owner("open/beneath") == "7:8");
    BOOST_TEST(b.owner("open/rooted") == "7:8");
    BOOST_TEST(b.mode("open/beneath") == 0644u);
    if (fs::exists(b.top / "d/given")) {
        BOOST_TEST(b.owner("given") == "12:34");
        BOOST_TEST(b.mode("given") == 0640u);
        BOOST_TEST(b.owner("open/own") == "7:8");
    }
}

BOOST_AUTO_TEST_SUITE_END()
