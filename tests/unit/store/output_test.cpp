#include "store/output.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "base/error.hpp"

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
    BOOST_CHECK_EXCEPTION(sg::OutputFile(s / "d"), sg::Error, [](const sg::Error& e) { return e.code() == sg::Code::invalid; });
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

BOOST_AUTO_TEST_CASE(the_next_run_removes_what_a_killed_one_left_but_not_what_is_being_filled) {
    Scratch s;
    const std::string dead = s / ".d.partial-0123456789abcdef", alive = s / ".d.partial-fedcba9876543210";
    mkdir(dead.c_str(), 0755);
    write_file(dead + "/x", "x");
    mkdir(alive.c_str(), 0755);
    const int held = open(alive.c_str(), O_RDONLY | O_DIRECTORY);
    BOOST_REQUIRE_EQUAL(flock(held, LOCK_EX), 0);
    { sg::OutputDirectory out(s / "d"); }
    BOOST_CHECK_NE(access(dead.c_str(), F_OK), 0);
    BOOST_CHECK_EQUAL(access(alive.c_str(), F_OK), 0);
    close(held);
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
