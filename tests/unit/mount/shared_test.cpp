// One server for all containers that a user runs from one image, with the kernel.
#include "mount/shared.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <stdexcept>

#include "fake_root.hpp"
#include "mount/rendezvous.hpp"
#include "mount/service.hpp"
#include "user.hpp"

using user::Scenario;

namespace {

#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif

void need(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what + " (errno: " + std::strerror(errno) + ")");
}

// An image in memory that says it lies in a file.
struct Image : fake::Root {
    Image() {
        char name[] = "/tmp/shared-test-image.XXXXXX";
        file = mkstemp(name);
        unlink(name);
        add(root(), "hello", S_IFREG | 0644, "from the image");
        static const sg_stored_v1 stored{[](sg_root*) { return "test"; }, [](sg_root*) -> int32_t { return file; },
                                         nullptr};
        with_file = *table();
        with_file.stored = &stored;
    }
    ~Image() { close(file); }
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override {
        if (node == endless)
            for (*reached = true;;) pause();
        return Root::read(node, offset, data, capacity);
    }
    uint64_t endless = 0;  // a node that no read of ever ends
    // Such a read has begun: the server's process tells all others.
    std::atomic<bool>* const reached =
        new (mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<bool>(false);
    static inline int file = -1;
    sg_root_v1 with_file;
};

// The user's directory for sockets lies in it, and containers are mounted in it.
struct Place {
    std::string path;
    Place() {
        char name[] = "/tmp/shared-test.XXXXXX";
        if (!mkdtemp(name)) throw std::runtime_error("mkdtemp");
        path = name;
        mkdir((path + "/run").c_str(), 0700);
        mkdir((path + "/root").c_str(), 0755);
        chmod(name, 0755);
        chmod((path + "/run").c_str(), 0777);
    }
    ~Place() { (void)!system(("rm -rf " + path).c_str()); }
};

sg_mount_view mapped() {
    sg_mount_view view{};
    view.map_ids = 1;
    view.uid = geteuid();
    view.gid = getegid();
    return view;
}

int join(Image& image, const Place& place, uint32_t linger, sg_error& err, const char* const* places = nullptr,
         uint64_t offset = 0) {
    setenv("XDG_RUNTIME_DIR", (place.path + "/run").c_str(), 1);
    sg_mount_view view = mapped();
    view.places = places;
    const sg_mount_share share{offset, getpid(), linger};
    int32_t tree = -1;
    const int32_t rc = sg::mount_service()->join(&image.with_file, image.handle(), &view, &share, &tree, &err);
    return rc == SG_OK ? tree : -rc;
}

// As a launcher does: from then on the image is at PLACE/root.
void enter(Image& image, const Place& place, uint32_t linger, const char* const* places = nullptr,
           uint64_t offset = 0) {
    sg_error err{};
    const int tree = join(image, place, linger, err, places, offset);
    need(tree >= 0, std::string("join: ") + err.message);
    need(unshare(CLONE_NEWNS) == 0, "unshare");
    need(syscall(SYS_move_mount, tree, "", AT_FDCWD, (place.path + "/root").c_str(), 4) == 0, "move_mount");
    close(tree);
}

std::string slurp(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot open " + path);
    return std::string((std::istreambuf_iterator<char>(in)), {});
}

dev_t device(const std::string& path) {
    struct stat st;
    need(stat(path.c_str(), &st) == 0, "stat " + path);
    return st.st_dev;
}

// Runs `body` in a child of the scenario and gives its wait status.
template <class Body>
int in_child(Body&& body) {
    const pid_t pid = fork();
    if (pid == 0) {
        try {
            body();
            _exit(0);
        } catch (const std::exception& e) {
            std::fprintf(stderr, "child: %s\n", e.what());
            _exit(1);
        }
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

// What the servers' names say: a keeper and a file server both are "singularity-fs".
size_t sockets(const Place& place) {
    size_t n = 0;
    (void)!system(("ls -A " + place.path + "/run/singularity > " + place.path + "/root/list 2>/dev/null").c_str());
    std::ifstream in(place.path + "/root/list");
    for (std::string line; std::getline(in, line);) n += line != "lock";
    return n;
}

}  // namespace

BOOST_TEST_DECORATOR(*boost::unit_test::precondition(user::can_mount))
BOOST_AUTO_TEST_SUITE(sharing)

BOOST_AUTO_TEST_CASE(containers_of_one_image_see_one_mount_and_nothing_is_left_after_the_last) {
    Image image;
    const Place place;
    Scenario s([&](const auto& side) {
        dev_t* devices =
            static_cast<dev_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        for (int i = 0; i < 3; ++i)
            need(in_child([&] {
                     enter(image, place, 1);
                     need(slurp(place.path + "/root/hello") == "from the image", "contents");
                     need(open((place.path + "/root/new").c_str(), O_WRONLY | O_CREAT, 0644) < 0 && errno == EROFS,
                          "read-only");
                     devices[i] = device(place.path + "/root");
                 }) == 0,
                 "a container");
        need(devices[0] == devices[1] && devices[1] == devices[2], "one file system");
        need(device(place.path) != devices[0], "the scenario itself sees no mount");
        side.say('d');
    });
    BOOST_REQUIRE(s.side().wait() == 'd');
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);  // keeper and server
    BOOST_TEST(sockets(place) == 0u);
    BOOST_TEST(user::mounts() == "");
}

BOOST_AUTO_TEST_CASE(other_mount_points_or_another_part_of_the_file_are_not_shared) {
    Image image;
    const Place place;
    Scenario s([&](const auto&) {
        dev_t* devices =
            static_cast<dev_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        const char* places[] = {"/data/", nullptr};
        need(in_child([&] { enter(image, place, 1), devices[0] = device(place.path + "/root"); }) == 0, "plain");
        need(in_child([&] {
                 enter(image, place, 1, places);
                 devices[1] = device(place.path + "/root");
                 need(access((place.path + "/root/data").c_str(), F_OK) == 0, "the place");
             }) == 0,
             "with a place");
        need(in_child([&] { enter(image, place, 1, nullptr, 4096), devices[2] = device(place.path + "/root"); }) == 0,
             "another part");
        need(devices[0] != devices[1] && devices[1] != devices[2] && devices[0] != devices[2], "three file systems");
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 6);
}

// Whoever ends one of the jobs kills its server too.
BOOST_AUTO_TEST_CASE(jobs_of_a_batch_system_have_servers_of_their_own) {
    Image image;
    const Place place;
    Scenario s([&](const auto&) {
        dev_t* devices =
            static_cast<dev_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        for (int i = 0; i < 4; ++i)
            need(in_child([&] {
                     if (i > 0) setenv("_CONDOR_ANCESTOR_77", i == 3 ? "78:1:9" : "77:1:8", 1);
                     enter(image, place, 1);
                     devices[i] = device(place.path + "/root");
                 }) == 0,
                 "a container");
        need(devices[1] == devices[2], "one job's");
        need(devices[0] != devices[1] && devices[0] != devices[3] && devices[1] != devices[3], "three jobs");
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 6);
}

BOOST_AUTO_TEST_CASE(many_that_start_at_once_get_one_server) {
    Image image;
    const Place place;
    const char* places[] = {"/a/b/", "/c", nullptr};
    Scenario s([&](const auto& side) {
        dev_t* devices =
            static_cast<dev_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        constexpr int ranks = 32;
        std::vector<pid_t> pids;
        for (int i = 0; i < ranks; ++i) {
            pids.push_back(fork());
            if (pids.back() != 0) continue;
            try {
                enter(image, place, 1, places);
                need(mount("/proc", (place.path + "/root/a/b").c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0,
                     "bind");
                devices[i] = device(place.path + "/root");
                need(slurp(place.path + "/root/hello") == "from the image", "contents");
                _exit(0);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "rank %d: %s\n", i, e.what());
                _exit(1);
            }
        }
        bool well = true;
        for (const pid_t pid : pids) {
            int status = -1;
            waitpid(pid, &status, 0);
            well = well && status == 0;
        }
        need(well, "all ranks");
        for (int i = 1; i < ranks; ++i) need(devices[i] == devices[0], "one file system");
        side.say('d');
    });
    BOOST_TEST(s.side().wait() == 'd');
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);
}

BOOST_AUTO_TEST_CASE(a_server_that_was_begun_early_shows_the_mount_points_that_are_named_later) {
    Image image;
    const Place place;
    Scenario s([&](const auto&) {
        need(in_child([&] {
                 setenv("XDG_RUNTIME_DIR", (place.path + "/run").c_str(), 1);
                 sg::expect_shared_mount(&image.with_file, image.handle(), 0);
                 const char* places[] = {"/data/", "/a/file", nullptr};
                 enter(image, place, 1, places);
                 struct stat st;
                 need(stat((place.path + "/root/data").c_str(), &st) == 0 && S_ISDIR(st.st_mode), "the directory");
                 need(stat((place.path + "/root/a/file").c_str(), &st) == 0 && S_ISREG(st.st_mode), "the file");
                 need(slurp(place.path + "/root/hello") == "from the image", "contents");
             }) == 0,
             "a container");
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);  // no second keeper was made
    BOOST_TEST(sockets(place) == 0u);
}

BOOST_AUTO_TEST_CASE(what_was_begun_early_ends_with_its_starter_and_leaves_the_right_to_others) {
    Image image;
    const Place place;
    Scenario s([&](const auto&) {
        setenv("XDG_RUNTIME_DIR", (place.path + "/run").c_str(), 1);
        const auto rendezvous = sg::Rendezvous::open();
        need(in_child([&] {
                 sg::expect_shared_mount(&image.with_file, image.handle(), 0);
                 need(!rendezvous->right_to_begin(), "one at a time");
             }) == 0,
             "the one who begins");
        need(user::comes_true([&] { return static_cast<bool>(rendezvous->right_to_begin()); }), "the right");
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);
    BOOST_TEST(sockets(place) == 0u);
}

BOOST_AUTO_TEST_CASE(what_was_begun_early_for_another_image_is_not_used) {
    Image image;
    const Place place;
    Scenario s([&](const auto&) {
        need(in_child([&] {
                 setenv("XDG_RUNTIME_DIR", (place.path + "/run").c_str(), 1);
                 sg::expect_shared_mount(&image.with_file, image.handle(), 4096);
                 enter(image, place, 1);
                 need(slurp(place.path + "/root/hello") == "from the image", "contents");
             }) == 0,
             "a container");
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 4);
    BOOST_TEST(sockets(place) == 0u);
}

BOOST_AUTO_TEST_CASE(where_a_server_lives_nothing_is_begun_early) {
    Image image;
    const Place place;
    Scenario s([&](const auto&) {
        for (int i = 0; i < 2; ++i)
            need(in_child([&] {
                     setenv("XDG_RUNTIME_DIR", (place.path + "/run").c_str(), 1);
                     sg::expect_shared_mount(&image.with_file, image.handle(), 0);
                     enter(image, place, 1);
                     need(slurp(place.path + "/root/hello") == "from the image", "contents");
                 }) == 0,
                 "a container");
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);
}

BOOST_AUTO_TEST_CASE(when_what_was_begun_early_has_died_the_start_makes_it_anew) {
    Image image;
    const Place place;
    Scenario s([&](const auto& side) {
        setenv("XDG_RUNTIME_DIR", (place.path + "/run").c_str(), 1);
        sg::expect_shared_mount(&image.with_file, image.handle(), 0);
        side.say('b');
        side.wait();
        enter(image, place, 1);
        need(slurp(place.path + "/root/hello") == "from the image", "contents");
    });
    BOOST_REQUIRE(s.side().wait() == 'b');
    BOOST_REQUIRE(user::comes_true([&] { return s.servers().size() == 2; }));
    const auto begun = s.servers();
    kill(std::min(begun[0], begun[1]), SIGKILL);
    BOOST_TEST(WIFSIGNALED(s.end_of(std::min(begun[0], begun[1]))));
    s.end_of(std::max(begun[0], begun[1]));  // its server ends by itself
    s.side().say('g');
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);
}

BOOST_AUTO_TEST_CASE(a_crash_of_one_container_hurts_no_other) {
    Image image;
    const Place place;
    Scenario s([&](const auto& side) {
        need(WIFSIGNALED(in_child([&] {
                 enter(image, place, 1);
                 raise(SIGKILL);
             })),
             "killed");
        enter(image, place, 1);
        side.say('m');
        side.wait();
        need(slurp(place.path + "/root/hello") == "from the image", "contents");
    });
    BOOST_TEST(s.side().wait() == 'm');
    s.side().say('g');
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);
}

BOOST_AUTO_TEST_CASE(a_killed_server_is_told_to_its_users_and_the_next_start_makes_a_new_one) {
    Image image;
    const Place place;
    const std::string errors = place.path + "/root/errors";
    close(open(errors.c_str(), O_WRONLY | O_CREAT, 0666));
    chmod(errors.c_str(), 0666);
    Scenario s([&](const auto& side) {
        dup2(open(errors.c_str(), O_WRONLY | O_APPEND), 2);
        const pid_t other = fork();
        if (other == 0) {
            enter(image, place, 1);
            side.say('m');
            side.wait();
            const int fd = open((place.path + "/root/hello").c_str(), O_RDONLY);
            char c;
            _exit((fd < 0 || read(fd, &c, 1) < 0) && errno == ENOTCONN ? 0 : 1);
        }
        int status = -1;
        waitpid(other, &status, 0);
        need(status == 0, "ENOTCONN");
        enter(image, place, 1);
        need(slurp(place.path + "/root/hello") == "from the image", "contents after a new start");
    });
    BOOST_REQUIRE(s.side().wait() == 'm');
    // The keeper was made first and made the server.
    auto servers = s.servers();
    BOOST_REQUIRE(servers.size() == 2u);
    kill(std::max(servers[0], servers[1]), SIGKILL);
    int killed = 0;
    for (const int pid : servers) killed += WIFSIGNALED(s.end_of(pid));  // the keeper ends by itself
    BOOST_TEST(killed == 1);
    std::string said;
    std::ifstream in(errors);
    std::getline(in, said);
    BOOST_TEST(said.find("FATAL:   The server of this container's file system has ended") == 0u, said);
    s.side().say('k');
    const int status = s.end_of();
    BOOST_TEST(status == 0, slurp(errors));
    BOOST_TEST(s.end_of_all() == 2);
}

// A thread that hands over a file waits for the page that a read of the same file holds, and no signal ends that: the
// server lives on until somebody ends its connection.
BOOST_AUTO_TEST_CASE(a_server_that_is_killed_while_it_waits_for_a_page_ends_and_so_do_its_readers,
                     *boost::unit_test::precondition(user::can_end_connections)) {
    Image image;
    const uint64_t dir = image.add(image.root(), "d", S_IFDIR | 0755);
    image.endless = image.add(dir, "a", S_IFREG | 0644, "never read");
    const uint64_t other = image.add(dir, "b", S_IFREG | 0644, "its neighbour");
    image.at(image.endless).shared = image.at(other).shared = 1;
    const Place place;
    Scenario s([&](const auto& side) {
        dup2(open("/dev/null", O_WRONLY), 2);
        enter(image, place, 1);
        const std::string d = place.path + "/root/d/";
        (void)!system(("ls -l " + d + " >/dev/null").c_str());  // tells the kernel of both
        for (const char* name : {"a", "b"}) {
            if (fork() != 0) {
                need(user::comes_true([&] { return image.reached->load(); }), "the read of the first one");
                continue;
            }
            const int fd = open((d + name).c_str(), O_RDONLY);
            char c;
            (void)!read(fd, &c, 1);  // an error, but where the page that was being sent came to its end
            _exit(0);
        }
        side.say('r');
        for (int i = 0; i < 2; ++i) {
            int status = -1;
            need(wait(&status) > 0 && status == 0, "the end of a reader");
        }
    });
    BOOST_REQUIRE(s.side().wait() == 'r');
    const auto servers = s.servers();
    BOOST_REQUIRE(servers.size() == 2u);
    const int server = std::max(servers[0], servers[1]);
    // For good: every process is in that state now and then.
    int looks = 0;
    BOOST_REQUIRE(user::comes_true([&] {
        looks = user::states_of(server).find('D') == std::string::npos ? 0 : looks + 1;
        return looks == 50;
    }));
    kill(server, SIGKILL);
    BOOST_REQUIRE(user::comes_true([&] { return user::states_of(server) == "Z"; }));
    BOOST_TEST(WIFSIGNALED(s.end_of(server)));
    BOOST_TEST(s.end_of() == 0);
    s.end_of_all();
}

BOOST_AUTO_TEST_CASE(a_socket_that_a_killed_keeper_left_is_replaced) {
    Image image;
    const Place place;
    Scenario s([&](const auto& side) {
        need(in_child([&] { enter(image, place, 60); }) == 0, "first");
        side.say('1');
        side.wait();
        enter(image, place, 1);
        need(slurp(place.path + "/root/hello") == "from the image", "contents");
        side.say('2');
    });
    BOOST_REQUIRE(s.side().wait() == '1');
    for (const int pid : s.servers()) {
        kill(pid, SIGKILL);
        s.end_of(pid);
    }
    s.side().say('k');
    BOOST_TEST(s.side().wait() == '2');
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 2);
    BOOST_TEST(sockets(place) == 0u);
}

BOOST_AUTO_TEST_CASE(a_directory_that_others_can_enter_is_not_used) {
    Image image;
    const Place place;
    Scenario s([&](const auto&) {
        const std::string directory = place.path + "/run/singularity";
        need(mkdir(directory.c_str(), 0755) == 0 && chmod(directory.c_str(), 0755) == 0, "mkdir");
        const std::string other = "/tmp/.singularity-" + std::to_string(geteuid());
        const bool made = mkdir(other.c_str(), 0700) == 0;
        need(chmod(other.c_str(), 0711) == 0, "chmod");
        sg_error err{};
        const int answer = join(image, place, 1, err);
        chmod(other.c_str(), 0700);
        if (made) rmdir(other.c_str());
        need(answer == -SG_EUNSUPPORTED, "refused");
        need(std::string(err.message).find("alone") != std::string::npos, err.message);
        user::enter_user_namespace();  // nothing has changed
    });
    BOOST_TEST(s.end_of() == 0);
    BOOST_TEST(s.end_of_all() == 0);
}

BOOST_AUTO_TEST_CASE(a_format_without_a_file_is_not_shared) {
    Image image;
    const Place place;
    image.with_file.stored = nullptr;
    Scenario s([&](const auto&) {
        sg_error err{};
        need(join(image, place, 1, err) == -SG_EUNSUPPORTED, "refused");
    });
    BOOST_TEST(s.end_of() == 0);
}

BOOST_AUTO_TEST_CASE(without_the_device_a_join_is_refused_and_leaves_no_socket) {
    if (geteuid() != 0) return;
    Image image;
    const Place place;
    Scenario s(
        [&](const auto&) {
            sg_error err{};
            need(join(image, place, 1, err) == -SG_EUNSUPPORTED, "refused");
        },
        0600);
    BOOST_TEST(s.end_of() == 0);
    s.end_of_all();
}

BOOST_AUTO_TEST_SUITE_END()
