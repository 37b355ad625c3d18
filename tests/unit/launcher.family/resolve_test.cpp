#include "family/resolve.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

using namespace launcher;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(resolve)

namespace {

struct Tree {
    std::string top, root;
    Fd fd;
    Tree() {
        char name[] = "/tmp/sg-resolve-XXXXXX";
        top = mkdtemp(name);
        root = top + "/root";
        fs::create_directories(root + "/a/b");
        fs::create_directories(root + "/var");
        fs::create_directory(root + "/run");
        std::ofstream(root + "/a/file") << "inside";
        std::ofstream(top + "/secret") << "outside";
        fs::create_symlink("/a/b", root + "/absolute");
        fs::create_symlink("../../../../secret", root + "/a/climb");
        fs::create_symlink("/../secret", root + "/climb2");
        fs::create_symlink("/run", root + "/var/run");
        fs::create_symlink("loop2", root + "/loop1");
        fs::create_symlink("loop1", root + "/loop2");
        fs::create_symlink("a/missing", root + "/dangling");
        fd = Fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    ~Tree() { fs::remove_all(top); }

    std::string where(const Fd& f) const {
        if (!f) return "none";
        const std::string path = fs::read_symlink(fd_path(f.get())).string();
        return path.compare(0, root.size(), root) == 0 ? path.substr(root.size()) : "OUTSIDE " + path;
    }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(links_never_lead_out_of_the_root_with_either_way_of_walking, Tree) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"/a/b", "/a/b"},        {"/absolute", "/a/b"},  {"/a/../a/file", "/a/file"}, {"/a/climb", "none"},     {"/climb2", "none"},
        {"/var/run", "/run"},    {"/loop1", "none"},     {"/dangling", "none"},       {"/../../a/b", "/a/b"},   {"/absolute/../file", "/a/file"},
        {"/", ""},               {"/a/file/x", "none"},  {"/nothing", "none"},
    };
    for (const auto& [path, expected] : cases) {
        BOOST_TEST_CONTEXT(path) {
            BOOST_TEST(where(open_inside(fd.get(), path)) == expected);
            BOOST_TEST(where(walk_inside(fd.get(), path, true)) == expected);
        }
    }
}

BOOST_FIXTURE_TEST_CASE(a_last_link_can_be_opened_itself, Tree) {
    BOOST_TEST(where(open_inside(fd.get(), "/dangling", false)) == "/dangling");
    BOOST_TEST(where(walk_inside(fd.get(), "/dangling", false)) == "/dangling");
    BOOST_TEST(where(open_inside(fd.get(), "/var/run", false)) == "/var/run");
}

BOOST_FIXTURE_TEST_CASE(what_is_missing_is_told_apart_from_what_exists, Tree) {
    const Reached r = reach_inside(fd.get(), "/var/run/x/y");
    BOOST_TEST(where(r.fd) == "/run");
    BOOST_TEST(r.missing == "x/y");
    const Reached all = reach_inside(fd.get(), "/a/b");
    BOOST_TEST(all.missing.empty());
    const Reached dangling = reach_inside(fd.get(), "/dangling");
    BOOST_TEST(where(dangling.fd) == "/a");
    BOOST_TEST(dangling.missing == "missing");
    BOOST_CHECK_THROW(reach_inside(fd.get(), "/loop1"), Error);
}

BOOST_AUTO_TEST_SUITE_END()
