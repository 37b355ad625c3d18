// %files into a directory, and never out of it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "build/files_copy.hpp"

using namespace sg;
namespace fs = std::filesystem;

namespace {

struct Place {
    Place() {
        std::string name = (fs::temp_directory_path() / "sg-files-XXXXXX").string();
        BOOST_REQUIRE(mkdtemp(name.data()));
        top = name;
        fs::create_directories(top / "host");
        fs::create_directories(top / "root");
        fd = UniqueFd(open((top / "root").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    ~Place() { fs::remove_all(top); }

    void write(const std::string& path, const std::string& text = "x") const {
        fs::create_directories((top / path).parent_path());
        std::ofstream(top / path) << text;
    }
    std::string read(const std::string& path) const {
        std::ifstream in(top / "root" / path);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void copy(const std::string& from, const std::string& to, FilesRules rules = {}) const {
        const auto target = directory_target(fd.get());
        copy_files(definition::split_text("x.def", "%files\n line\n"), {{from, to, {2, 2}}}, *host_files((top / "host").string()), *target, rules, nullptr);
    }
    std::string failure(const std::string& from, const std::string& to) const {
        try {
            copy(from, to);
            return {};
        } catch (const Error& e) {
            return e.message();
        }
    }

    fs::path top;
    UniqueFd fd;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(files)

BOOST_AUTO_TEST_CASE(a_file_becomes_the_destination_or_goes_into_it) {
    Place p;
    p.write("host/a", "one");
    p.copy("a", "/b");
    p.copy("a", "/deep/er/c");
    p.copy("a", "/dir/");
    p.copy("a", "/dir");
    p.copy("a", "");
    BOOST_TEST(p.read("b") == "one");
    BOOST_TEST(p.read("deep/er/c") == "one");
    BOOST_TEST(p.read("dir/a") == "one");
    BOOST_TEST(p.read("a") == "one");
}

BOOST_AUTO_TEST_CASE(directories_are_copied_with_what_their_links_lead_to) {
    Place p;
    p.write("host/d/e/f", "deep");
    fs::create_symlink("e/f", p.top / "host/d/link");
    p.copy("d", "/new");
    p.copy("d", "/new");  // now it is there
    p.copy("d/.", "/contents");
    BOOST_TEST(p.read("new/e/f") == "deep");
    BOOST_TEST(!fs::is_symlink(p.top / "root/new/link"));
    BOOST_TEST(p.read("new/link") == "deep");
    BOOST_TEST(p.read("new/d/e/f") == "deep");
    BOOST_TEST(p.read("contents/e/f") == "deep");
}

BOOST_AUTO_TEST_CASE(below_the_sources_of_stages_links_stay) {
    Place p;
    p.write("host/d/f", "x");
    fs::create_symlink("f", p.top / "host/d/link");
    fs::create_symlink("d", p.top / "host/top");
    FilesRules rules;
    rules.as_made = true;
    p.copy("top", "/new", rules);
    BOOST_TEST(fs::is_directory(fs::symlink_status(p.top / "root/new")));
    BOOST_TEST(fs::read_symlink(p.top / "root/new/link").string() == "f");
}

BOOST_AUTO_TEST_CASE(what_stages_made_keeps_modes_names_and_owners) {
    Place p;
    p.write("host/d/program");
    p.write("host/d/sub/all");
    p.write("root/there", "old");
    BOOST_REQUIRE(chmod((p.top / "host/d/program").c_str(), 04755) == 0 && chmod((p.top / "host/d/sub/all").c_str(), 0666) == 0);
    BOOST_REQUIRE(chmod((p.top / "host/d/sub").c_str(), 01777) == 0);
    fs::create_hard_link(p.top / "host/d/program", p.top / "host/d/sub/second");
    FilesRules rules;
    rules.as_made = true;
    p.copy("d", "/new", rules);
    p.copy("d/program", "/there", rules);
    const auto look = [&](const char* path) {
        struct stat st {};
        BOOST_REQUIRE(lstat((p.top / "root" / path).c_str(), &st) == 0);
        return st;
    };
    BOOST_TEST((look("new/program").st_mode & 07777) == 04755u);
    BOOST_TEST((look("there").st_mode & 07777) == 04755u);
    BOOST_TEST((look("new/sub").st_mode & 07777) == 01777u);
    BOOST_TEST((look("new/sub/all").st_mode & 07777) == 0666u);
    BOOST_TEST(look("new/sub/second").st_ino == look("new/program").st_ino);
    BOOST_TEST(look("new/program").st_uid == geteuid());
    p.copy("d", "/plain");
    BOOST_TEST((look("plain/program").st_mode & 07777) == 0755u);
    BOOST_TEST(look("plain/sub/second").st_nlink == 1u);
}

BOOST_AUTO_TEST_CASE(patterns_match_as_in_a_shell) {
    Place p;
    for (const char* name : {"host/a1", "host/a2", "host/b1", "host/.a3", "host/x/a4"}) p.write(name);
    p.copy("a*", "/all/");
    p.copy("*/a?", "/deep/");
    BOOST_TEST(fs::exists(p.top / "root/all/a1"));
    BOOST_TEST(fs::exists(p.top / "root/all/a2"));
    BOOST_TEST(!fs::exists(p.top / "root/all/b1"));
    BOOST_TEST(fs::exists(p.top / "root/deep/a4"));
    BOOST_TEST(p.failure("nothing*", "/x") == "x.def:2:2: no such file or directory: nothing*");
}

BOOST_AUTO_TEST_CASE(sources_are_read_as_by_a_shell) {
    Place p;
    for (const char* name : {"host/a.txt", "host/b.txt", "host/in [x]/c.txt", "host/$odd{1,2}"}) p.write(name, name);
    setenv("SG_TEST_PLACE", (p.top / "host/in [x]").c_str(), 1);
    unsetenv("SG_TEST_UNSET");
    const std::string home = std::getenv("HOME") ? std::getenv("HOME") : "";
    setenv("HOME", (p.top / "host").c_str(), 1);
    p.copy("{a,b}.txt", "/braces/");
    p.copy("~/{a.txt,in*/{c,c}.txt}", "/home/");
    p.copy("$SG_TEST_PLACE/*.txt", "/value/");
    p.copy("${SG_TEST_PLACE}/c.txt", "/named");
    p.copy("$odd{1,2}", "/literal");  // there is such a file
    BOOST_TEST(p.read("braces/a.txt") == "host/a.txt");
    BOOST_TEST(p.read("braces/b.txt") == "host/b.txt");
    BOOST_TEST(p.read("home/a.txt") == "host/a.txt");
    BOOST_TEST(p.read("home/c.txt") == "host/in [x]/c.txt");
    BOOST_TEST(p.read("value/c.txt") == "host/in [x]/c.txt");
    BOOST_TEST(p.read("named") == "host/in [x]/c.txt");
    BOOST_TEST(p.read("literal") == "host/$odd{1,2}");
    BOOST_TEST(p.failure("$SG_TEST_UNSET/a", "/x") == "x.def:2:2: the variable SG_TEST_UNSET is not set");
    BOOST_TEST(p.failure("{a,z}.txt", "/x") == "x.def:2:2: no such file or directory: z.txt");
    BOOST_TEST(p.failure("$(id)", "/x") == "x.def:2:2: no such file or directory: $(id)");
    BOOST_TEST(p.failure("{a}${", "/x") == "x.def:2:2: no such file or directory: {a}${");
    std::string many;
    for (int i = 0; i < 40; ++i) many += "{a,b}";
    BOOST_TEST(p.failure(many, "/x") == "x.def:2:2: the braces make more than 10000 names");
    BOOST_TEST(p.failure(std::string(5000, '{'), "/x").find("more than 4096 bytes") != std::string::npos);
    setenv("HOME", home.c_str(), 1);
}

BOOST_AUTO_TEST_CASE(nothing_goes_out_of_the_root) {
    Place p;
    p.write("host/a", "one");
    p.write("canary", "safe");
    fs::create_symlink(p.top / "canary", p.top / "root/link");
    fs::create_symlink("../..", p.top / "root/up");
    p.copy("a", "/../../escaped");
    BOOST_TEST(p.read("escaped") == "one");
    p.copy("a", "/link");
    p.copy("a", "/up/host/b");
    BOOST_TEST(!fs::exists(p.top / "host/b"));
    std::ifstream in(p.top / "canary");
    BOOST_TEST(std::string(std::istreambuf_iterator<char>(in), {}) == "safe");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_copied_is_named) {
    Place p;
    BOOST_TEST(p.failure("none", "/x") == "x.def:2:2: no such file or directory: none");
    fs::create_symlink("nowhere", p.top / "host/dangling");
    BOOST_TEST(p.failure("dangling", "/x") == "x.def:2:2: the symbolic link dangling leads nowhere");
    fs::create_directories(p.top / "host/loop");
    fs::create_symlink(".", p.top / "host/loop/self");
    BOOST_TEST(p.failure("loop", "/x") == "x.def:2:2: loop/self is a directory that contains itself");
    p.write("host/file");
    fs::create_directories(p.top / "root/dir/file");
    BOOST_TEST(p.failure("file", "/dir") == "x.def:2:2: cannot replace the directory /dir/file by a file");
}

BOOST_AUTO_TEST_CASE(modes_follow_the_umask_of_builds_and_times_may_be_clamped) {
    Place p;
    p.write("host/a");
    chmod((p.top / "host/a").c_str(), 04777);
    FilesRules rules;
    rules.clamp = 1000;
    p.copy("a", "/a", rules);
    struct stat st;
    BOOST_REQUIRE(stat((p.top / "root/a").c_str(), &st) == 0);
    BOOST_TEST((st.st_mode & 07777) == 0775u);
    BOOST_TEST(st.st_mtime == 1000);
}

BOOST_AUTO_TEST_SUITE_END()
