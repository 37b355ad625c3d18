// The whole way with the kernel: device, detached server, mount, and what is left when processes are killed.
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <stdexcept>

#include "fake_root.hpp"
#include "mount/service.hpp"
#include "user.hpp"

using user::Scenario;

namespace {

constexpr int files = 300;
constexpr size_t big = 3'000'001;

std::string text(int i) { return "content of file " + std::to_string(i) + std::string(static_cast<size_t>(i), '.'); }
std::string big_text() {
    std::string s(big, '\0');
    for (size_t i = 0; i < big; ++i) s[i] = static_cast<char>(i * 31 + i / 4096);
    return s;
}

struct Image : fake::Root {
    Image() {
        for (int d = 0; d < 3; ++d) {
            const auto dir = add(root(), "dir" + std::to_string(d), S_IFDIR | 0755);
            for (int i = 0; i < files; ++i) {
                const auto n = add(dir, "file" + std::to_string(i), S_IFREG | 0644, text(i + d));
                at(n).shared = static_cast<uint64_t>(d * 100 + i / 64);
            }
        }
        add(root(), "big", S_IFREG | 0644, big_text());
        add(root(), "secret", S_IFREG | 0000, "x");
        add(root(), "link", S_IFLNK | 0777, "dir0/file1");
        const auto x = add(root(), "xattr", S_IFREG | 0755, "x");
        at(x).xattrs["user.note"] = "kept";
        damaged = add(root(), "damaged", S_IFREG | 0644, "x");
        at(damaged).attr.size = 100;
    }
    uint64_t damaged;
};

// A directory to mount on, that the user of the scenario can enter.
struct Target {
    std::string path;
    Target() {
        char name[] = "/tmp/mount-test.XXXXXX";
        if (!mkdtemp(name)) throw std::runtime_error("mkdtemp");
        path = name;
        chmod(name, 0755);
    }
    ~Target() { rmdir(path.c_str()); }
};

void need(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what + " (errno: " + std::strerror(errno) + ")");
}

std::string slurp(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot open " + path);
    std::string s((std::istreambuf_iterator<char>(in)), {});
    return s;
}

void* prepare(fake::Root& root, sg_mount_view view = {}) {
    void* server = nullptr;
    sg_error err{};
    if (sg::mount_service()->prepare(root.table(), root.handle(), &view, &server, &err) != SG_OK)
        throw std::runtime_error(err.message);
    return server;
}

void attach(void* server, const std::string& target) {
    sg_error err{};
    if (sg::mount_service()->attach(server, target.c_str(), &err) != SG_OK) throw std::runtime_error(err.message);
}

void mount_image(fake::Root& root, const std::string& target, sg_mount_view view = {}) {
    user::enter_user_namespace();
    void* server = prepare(root, view);
    need(unshare(CLONE_NEWNS) == 0, "unshare(CLONE_NEWNS)");
    attach(server, target);
}

sg_mount_view mapped() {
    sg_mount_view view{};
    view.map_ids = 1;
    view.uid = geteuid();
    view.gid = getegid();
    return view;
}

bool is_ended(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

}  // namespace

BOOST_TEST_DECORATOR(*boost::unit_test::precondition(user::can_mount))
BOOST_AUTO_TEST_SUITE(mounting)

BOOST_AUTO_TEST_CASE(a_user_sees_the_whole_tree_and_nothing_is_left_at_its_end) {
    Image image;
    const Target target;
    Scenario s([&](const auto&) {
        const char* places[] = {"/place/deep/", "/dir0/made", nullptr};
        sg_mount_view view = mapped();
        view.places = places;
        mount_image(image, target.path, view);
        const std::string& t = target.path;
        for (int d = 0; d < 3; ++d) {
            const std::string dir = t + "/dir" + std::to_string(d);
            std::set<std::string> names;
            DIR* dp = opendir(dir.c_str());
            need(dp != nullptr, "opendir");
            while (const dirent* e = readdir(dp)) {
                names.insert(e->d_name);
                struct stat st;
                need(fstatat(dirfd(dp), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, "stat");
                if (e->d_name[0] != '.') need(st.st_ino == e->d_ino, "inode numbers of listing and stat");
            }
            closedir(dp);
            need(names.size() == files + 2 + (d == 0), "the number of names");
            for (int i = 0; i < files; ++i) need(slurp(dir + "/file" + std::to_string(i)) == text(i + d), "contents");
            for (int i = 0; i < files; ++i)
                need(slurp(dir + "/file" + std::to_string(i)) == text(i + d), "cached contents");
        }
        need(slurp(t + "/big") == big_text(), "the big file");
        struct stat st;
        need(stat((t + "/link").c_str(), &st) == 0 && st.st_size == static_cast<off_t>(text(1).size()),
             "link followed");
        need(st.st_uid == geteuid() && st.st_gid == getegid(), "owner");
        need(stat((t + "/place/deep").c_str(), &st) == 0 && S_ISDIR(st.st_mode), "made directory");
        need(mount("/proc", (t + "/place/deep").c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0,
             "bind on a made one");
        need(mount("/etc/passwd", (t + "/dir0/made").c_str(), nullptr, MS_BIND, nullptr) == 0, "bind on a made file");
        need(!slurp(t + "/dir0/made").empty(), "bound file");
        need(access((t + "/none").c_str(), F_OK) != 0 && errno == ENOENT, "missing");
        need(access((t + "/none").c_str(), F_OK) != 0 && errno == ENOENT, "missing again");
        need(open((t + "/new").c_str(), O_WRONLY | O_CREAT, 0644) < 0 && errno == EROFS, "read-only");
        char value[16];
        need(getxattr((t + "/xattr").c_str(), "user.note", value, sizeof value) == 4, "xattr");
        need(getxattr((t + "/big").c_str(), "user.note", value, sizeof value) < 0 && errno == ENODATA, "no xattr");
        const int fd = open((t + "/damaged").c_str(), O_RDONLY);
        need(fd >= 0 && read(fd, value, sizeof value) < 0 && errno == EIO, "damage is EIO");
        struct statvfs vfs;
        need(statvfs(t.c_str(), &vfs) == 0 && (vfs.f_flag & ST_RDONLY) && (vfs.f_flag & ST_NOSUID), "mount flags");
        __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
        const __user_cap_data_struct none[2] = {};
        need(syscall(SYS_capset, &head, none) == 0, "capset");
        need(open((t + "/secret").c_str(), O_RDONLY) < 0 && errno == EACCES, "permissions hold");
    });
    BOOST_TEST(is_ended(s.end_of()));
    BOOST_TEST(s.end_of_all() == 1);
    BOOST_TEST(user::mounts() == "");
}

BOOST_AUTO_TEST_CASE(owners_as_stored_are_shown_where_the_namespace_maps_them) {
    Image image;
    const Target target;
    for (auto& n : image.nodes) n.attr.uid = n.attr.gid = geteuid() == 0 ? 54321 : geteuid();
    Scenario s([&](const auto&) {
        mount_image(image, target.path);
        struct stat st;
        need(stat((target.path + "/big").c_str(), &st) == 0 && st.st_uid == geteuid(), "owner");
    });
    BOOST_TEST(is_ended(s.end_of()));
    BOOST_TEST(s.end_of_all() == 1);
}

BOOST_AUTO_TEST_CASE(a_killed_server_gives_enotconn_and_hangs_nobody) {
    Image image;
    const Target target;
    Scenario s([&](const auto& side) {
        mount_image(image, target.path, mapped());
        const int fd = open((target.path + "/big").c_str(), O_RDONLY);
        char c;
        need(fd >= 0 && pread(fd, &c, 1, 0) == 1, "read");
        side.say('m');
        side.wait();
        need(pread(fd, &c, 1, 2'900'000) < 0 && errno == ENOTCONN, "ENOTCONN");
        need(access((target.path + "/dir1").c_str(), F_OK) < 0 && errno == ENOTCONN, "ENOTCONN of a look-up");
    });
    BOOST_REQUIRE(s.side().wait() == 'm');
    const auto servers = s.servers();
    BOOST_REQUIRE(servers.size() == 1u);
    kill(servers[0], SIGKILL);
    BOOST_TEST(WIFSIGNALED(s.end_of(servers[0])));
    s.side().say('k');
    BOOST_TEST(is_ended(s.end_of()));
    BOOST_TEST(s.end_of_all() == 0);
    BOOST_TEST(user::mounts() == "");
}

BOOST_AUTO_TEST_CASE(a_killed_container_ends_the_server) {
    Image image;
    const Target target;
    Scenario s([&](const auto& side) {
        mount_image(image, target.path, mapped());
        side.say('m');
        side.wait();
    });
    BOOST_REQUIRE(s.side().wait() == 'm');
    BOOST_REQUIRE(s.servers().size() == 1u);
    kill(s.pid(), SIGKILL);
    BOOST_TEST(s.end_of_all() == 1);
}

BOOST_AUTO_TEST_CASE(a_process_left_behind_keeps_its_files) {
    Image image;
    const Target target;
    Scenario s([&](const auto& side) {
        mount_image(image, target.path, mapped());
        if (fork() > 0) _exit(0);
        side.say('d');
        side.wait();
        need(slurp(target.path + "/dir2/file7") == text(9), "contents");
        side.say('r');
        side.wait();
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_REQUIRE(s.side().wait() == 'd');
    s.side().say('g');
    BOOST_TEST(s.side().wait() == 'r');
    s.side().say('e');
    BOOST_TEST(s.end_of_all() == 2);
}

BOOST_AUTO_TEST_CASE(signals_of_a_batch_system_do_not_end_the_server) {
    Image image;
    const Target target;
    Scenario s([&](const auto& side) {
        mount_image(image, target.path, mapped());
        side.say('m');
        side.wait();
        need(slurp(target.path + "/dir1/file5") == text(6), "contents");
    });
    BOOST_REQUIRE(s.side().wait() == 'm');
    for (const int pid : s.servers())
        for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE, SIGALRM, SIGTSTP})
            kill(pid, signal);
    s.side().say('g');
    BOOST_TEST(is_ended(s.end_of()));
    BOOST_TEST(s.end_of_all() == 1);
}

BOOST_AUTO_TEST_CASE(a_caller_that_ends_before_attach_takes_the_server_along) {
    Image image;
    Scenario s([&](const auto& side) {
        user::enter_user_namespace();
        prepare(image);
        side.say('p');
        side.wait();
    });
    BOOST_REQUIRE(s.side().wait() == 'p');
    BOOST_TEST(s.servers().size() == 1u);
    kill(s.pid(), SIGKILL);
    BOOST_TEST(s.end_of_all() == 1);
}

BOOST_AUTO_TEST_CASE(a_mount_that_fails_names_its_target_and_ends_the_server) {
    Image image;
    Scenario s([&](const auto&) {
        user::enter_user_namespace();
        void* server = prepare(image);
        need(unshare(CLONE_NEWNS) == 0, "unshare");
        sg_error err{};
        need(sg::mount_service()->attach(server, "/no/such/place", &err) == SG_ENOTFOUND, "code");
        need(std::string(err.message).find("/no/such/place") != std::string::npos, err.message);
    });
    BOOST_TEST(is_ended(s.end_of()));
    BOOST_TEST(s.end_of_all() == 1);
}

BOOST_AUTO_TEST_CASE(several_images_in_one_process_end_each_on_its_own) {
    Image first, second;
    const Target a, b;
    second.add(second.root(), "second", S_IFREG | 0644, "2");
    Scenario s([&](const auto& side) {
        user::enter_user_namespace();
        void* one = prepare(first, mapped());
        void* two = prepare(second, mapped());
        need(unshare(CLONE_NEWNS) == 0, "unshare");
        attach(one, a.path);
        attach(two, b.path);
        need(slurp(b.path + "/second") == "2", "second image");
        need(access((a.path + "/second").c_str(), F_OK) != 0, "first image");
        side.say('m');
        side.wait();
        need(access((a.path + "/dir2").c_str(), F_OK) == 0 || errno == ENOTCONN, "no hang");
        need(access((b.path + "/dir2").c_str(), F_OK) == 0 || errno == ENOTCONN, "no hang");
    });
    BOOST_REQUIRE(s.side().wait() == 'm');
    const auto servers = s.servers();
    BOOST_REQUIRE(servers.size() == 2u);
    kill(servers[0], SIGKILL);
    s.end_of(servers[0]);
    s.side().say('k');
    BOOST_TEST(is_ended(s.end_of()));
    BOOST_TEST(s.end_of_all() == 1);
}

BOOST_AUTO_TEST_CASE(the_server_keeps_no_descriptor_of_its_callers) {
    Image image;
    const Target target;
    int inherited[2];
    BOOST_REQUIRE(pipe(inherited) == 0);
    Scenario s([&](const auto& side) {
        const int own = open("/etc/passwd", O_RDONLY | O_CLOEXEC);  // as a reader of an image has it
        mount_image(image, target.path, mapped());
        close(own);
        side.say('m');
        side.wait();
    });
    close(inherited[1]);
    BOOST_REQUIRE(s.side().wait() == 'm');
    const auto servers = s.servers();
    BOOST_REQUIRE(servers.size() == 1u);
    s.side().say('g');
    s.end_of();
    char c;
    BOOST_TEST(::read(inherited[0], &c, 1) == 0);  // nobody holds the other end
    close(inherited[0]);
    BOOST_TEST(s.end_of_all() == 1);
}

BOOST_AUTO_TEST_CASE(a_device_without_rights_is_named_with_its_mode_and_who_can_change_it) {
    if (geteuid() != 0) {
        BOOST_TEST_MESSAGE("skipped: only root can take the right to the device away");
        return;
    }
    Image image;
    Scenario s(
        [&](const auto&) {
            void* server = nullptr;
            sg_error err{};
            const sg_mount_view view{};
            user::enter_user_namespace();
            const int rc = sg::mount_service()->prepare(image.table(), image.handle(), &view, &server, &err);
            need(rc == SG_EPERMISSION, "code");
            need(std::string(err.message).find("/dev/fuse (mode 0640)") != std::string::npos, err.message);
            need(std::string(err.hint).find("chmod 0666") != std::string::npos, err.hint);
        },
        0640);
    BOOST_TEST(is_ended(s.end_of()));
    BOOST_TEST(s.end_of_all() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
