#include "store/output.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "base/error.hpp"
#include "store/owner.hpp"

namespace {

struct Scratch {
    std::string path;
    Scratch() {
        char name[] = "/tmp/sg-store-XXXXXX";
        path = mkdtemp(name);
    }
    ~Scratch() { sg::remove_tree(path); }
    std::string operator/(const std::string& name) const { return path + "/" + name; }
    int entries() const {
        DIR* d = opendir(path.c_str());
        int n = 0;
        while (readdir(d)) ++n;
        closedir(d);
        return n - 2;
    }
};

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_has_no_name_until_it_is_committed) {
    Scratch s;
    sg::OutputFile out(s / "x");
    BOOST_REQUIRE_EQUAL(write(out.fd(), "new", 3), 3);
    BOOST_CHECK_EQUAL(s.entries(), 0);
    out.commit();
    BOOST_CHECK_EQUAL(read_file(s / "x"), "new");
    BOOST_CHECK_EQUAL(s.entries(), 1);
}

BOOST_AUTO_TEST_CASE(an_older_file_stays_until_the_commit_and_without_it) {
    Scratch s;
    write_file(s / "x", "old");
    {
        sg::OutputFile out(s / "x");
        BOOST_REQUIRE_EQUAL(write(out.fd(), "new", 3), 3);
        BOOST_CHECK_EQUAL(read_file(s / "x"), "old");
    }
    BOOST_CHECK_EQUAL(read_file(s / "x"), "old");
    BOOST_CHECK_EQUAL(s.entries(), 1);
}

BOOST_AUTO_TEST_CASE(an_image_file_is_executable) {
    Scratch s;
    const mode_t before = umask(022);
    sg::OutputFile out(s / "x");
    out.commit();
    umask(before);
    struct stat st;
    BOOST_REQUIRE_EQUAL(stat((s / "x").c_str(), &st), 0);
    BOOST_CHECK_EQUAL(st.st_mode & 07777, 0755u);
}

BOOST_AUTO_TEST_CASE(a_directory_where_a_file_is_due_is_refused) {
    Scratch s;
    mkdir((s / "d").c_str(), 0755);
    BOOST_CHECK_EXCEPTION(sg::OutputFile(s / "d"), sg::Error,
                          [](const sg::Error& e) { return e.code() == sg::Code::invalid; });
}

BOOST_AUTO_TEST_CASE(a_device_pipe_or_socket_is_never_replaced) {
    Scratch s;
    const std::string pipe = s / "pipe";
    BOOST_REQUIRE_EQUAL(mkfifo(pipe.c_str(), 0600), 0);
    const auto refused = [](const sg::Error& e) { return e.code() == sg::Code::invalid && !e.hint().empty(); };
    for (const std::string& target : {pipe, std::string("/dev/null")}) {
        BOOST_CHECK_EXCEPTION(sg::OutputFile{target}, sg::Error, refused);
        BOOST_CHECK_EXCEPTION(sg::OutputDirectory{target}, sg::Error, refused);
    }
    struct stat st;
    BOOST_REQUIRE_EQUAL(lstat(pipe.c_str(), &st), 0);
    BOOST_TEST(S_ISFIFO(st.st_mode));
}

BOOST_AUTO_TEST_CASE(a_missing_parent_is_not_found) {
    Scratch s;
    BOOST_CHECK_EXCEPTION(sg::OutputFile(s / "none/x"), sg::Error,
                          [](const sg::Error& e) { return e.code() == sg::Code::not_found; });
}

BOOST_AUTO_TEST_CASE(a_directory_replaces_an_older_directory_and_leaves_nothing_else) {
    Scratch s;
    mkdir((s / "d").c_str(), 0755);
    write_file(s / "d/old", "old");
    {
        sg::OutputDirectory out(s / "d");
        write_file(out.path() + "/new", "new");
        out.commit();
    }
    BOOST_CHECK_EQUAL(read_file(s / "d/new"), "new");
    BOOST_CHECK_NE(access((s / "d/old").c_str(), F_OK), 0);
    BOOST_CHECK_EQUAL(s.entries(), 1);
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_not_committed_vanishes_even_with_locked_folders) {
    Scratch s;
    {
        sg::OutputDirectory out(s / "d");
        mkdir((out.path() + "/locked").c_str(), 0755);
        write_file(out.path() + "/locked/x", "x");
        chmod((out.path() + "/locked").c_str(), 0);
    }
    BOOST_CHECK_EQUAL(s.entries(), 0);
}

namespace {

sg::Owner somebody_dead() {
    sg::Owner o = sg::Owner::self();
    o.pid = fork();
    if (o.pid == 0) _exit(0);
    BOOST_REQUIRE_EQUAL(waitpid(o.pid, nullptr, 0), o.pid);
    return o;
}

void age(const std::string& path) {
    const timespec times[2] = {{1, 0}, {1, 0}};
    BOOST_REQUIRE_EQUAL(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_next_run_removes_what_a_killed_one_left_but_not_what_is_being_filled) {
    Scratch s;
    sg::Owner far = sg::Owner::self(), near = far;
    far.boot = "00112233";
    near.pid_namespace = 1;
    const auto named = [&](const sg::Owner& o, const char* random) {
        return s / (".d.partial-" + o.short_text() + "-" + random);
    };
    const std::string dead = named(somebody_dead(), "00000000"), alive = named(sg::Owner::self(), "00000001"),
                      elsewhere = named(far, "00000002"), long_ago = named(far, "00000003"),
                      unlocked = named(near, "00000004"), locked = named(near, "00000005");
    for (const auto& path : {dead, alive, elsewhere, long_ago, unlocked, locked}) {
        mkdir(path.c_str(), 0755);
        write_file(path + "/x", "x");
    }
    age(alive);
    age(long_ago);
    const int held = open(locked.c_str(), O_RDONLY | O_DIRECTORY);
    BOOST_REQUIRE_EQUAL(flock(held, LOCK_EX), 0);
    { sg::OutputDirectory out(s / "d"); }
    for (const auto& path : {dead, long_ago, unlocked}) BOOST_CHECK_NE(access(path.c_str(), F_OK), 0);
    for (const auto& path : {alive, elsewhere, locked}) BOOST_CHECK_EQUAL(access(path.c_str(), F_OK), 0);
    close(held);
}

BOOST_AUTO_TEST_CASE(a_name_of_255_bytes_is_no_reason_to_fail) {
    Scratch s;
    const std::string name(255, 'n');
    {
        sg::OutputDirectory out(s / name);
        out.commit();
    }
    sg::OutputFile(s / (name.substr(1) + "m")).commit();
    BOOST_CHECK_EQUAL(s.entries(), 2);
}

BOOST_AUTO_TEST_CASE(removing_a_tree_does_not_follow_links) {
    Scratch s;
    mkdir((s / "keep").c_str(), 0755);
    write_file(s / "keep/x", "x");
    mkdir((s / "gone").c_str(), 0755);
    BOOST_REQUIRE_EQUAL(symlink((s / "keep").c_str(), (s / "gone/link").c_str()), 0);
    sg::remove_tree(s / "gone");
    BOOST_CHECK_EQUAL(read_file(s / "keep/x"), "x");
    BOOST_CHECK_EQUAL(s.entries(), 1);
}
