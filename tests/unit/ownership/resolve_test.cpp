// Paths of another process.
#include "ownership/resolve.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

using namespace sg::ownership;
namespace fs = std::filesystem;

namespace {

// root/, with a working directory in it; "outside" lies beside it.
struct World {
    World() {
        std::string name = (fs::temp_directory_path() / "sg-resolve-XXXXXX").string();
        BOOST_REQUIRE(mkdtemp(name.data()));
        top = name;
        fs::create_directories(top / "root/dir/sub");
        fs::create_directories(top / "root/outside");
        fs::create_directories(top / "outside");
        put("root/file", "in");
        put("root/dir/sub/deep", "deep");
        put("root/outside/secret", "the root's own");
        put("outside/secret", "not ours");
        fs::create_symlink("/dir/sub", top / "root/absolute");
        fs::create_symlink("../../../outside/secret", top / "root/dir/up");
        fs::create_symlink("sub/deep", top / "root/dir/relative");
        fs::create_symlink("/made/later", top / "root/dangling");
        fs::create_symlink("loop", top / "root/loop");
        root = sg::UniqueFd(open((top / "root").c_str(), O_PATH | O_DIRECTORY));
        start = sg::UniqueFd(open((top / "root/dir").c_str(), O_PATH | O_DIRECTORY));
        from.root = root.get(), from.start = start.get();
    }
    ~World() { fs::remove_all(top); }
    void put(const char* path, const char* text) const { std::ofstream(top / path) << text; }
    // The text of the file, "-> TARGET" of a link, "dir", or "" when the name is free; "!N" for an errno.
    std::string found(const std::string& path, bool follow = true) const {
        Place place;
        const int error = resolve(from, path, follow, place);
        if (error != 0) return "!" + std::to_string(error);
        const std::string walked = shown(place.object);
        sg::UniqueFd object;
        const int quick = find_object(from, path, follow, object);
        BOOST_TEST(quick == (place.object ? 0 : ENOENT), path << ": " << quick);
        if (place.object) BOOST_TEST(shown(object) == walked, path);
        return walked;
    }
    static std::string shown(const sg::UniqueFd& fd) {
        if (!fd) return "";
        struct stat st;
        BOOST_REQUIRE(fstat(fd.get(), &st) == 0);
        if (S_ISDIR(st.st_mode)) return "dir";
        if (S_ISLNK(st.st_mode)) {
            char text[256];
            const ssize_t n = readlinkat(fd.get(), "", text, sizeof text);
            return "-> " + std::string(text, static_cast<size_t>(n));
        }
        std::ifstream in("/proc/self/fd/" + std::to_string(fd.get()));
        return {std::istreambuf_iterator<char>(in), {}};
    }
    fs::path top;
    sg::UniqueFd root, start;
    Viewpoint from;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(resolving)

BOOST_AUTO_TEST_CASE(paths_begin_at_the_root_or_at_the_working_directory) {
    const World w;
    BOOST_TEST(w.found("/file") == "in");
    BOOST_TEST(w.found("sub/deep") == "deep");
    BOOST_TEST(w.found("./sub/.././sub//deep") == "deep");
    BOOST_TEST(w.found("../file") == "in");
    BOOST_TEST(w.found(".") == "dir");
    BOOST_TEST(w.found("/") == "dir");
}

BOOST_AUTO_TEST_CASE(nothing_leads_above_the_root) {
    const World w;
    BOOST_TEST(w.found("../../../outside/secret") == "the root's own");
    BOOST_TEST(w.found("up") == "the root's own");
    BOOST_TEST(w.found("/../../file") == "in");
}

BOOST_AUTO_TEST_CASE(links_are_followed_inside_the_root_and_the_last_one_when_asked) {
    const World w;
    BOOST_TEST(w.found("/absolute/deep") == "deep");
    BOOST_TEST(w.found("relative") == "deep");
    BOOST_TEST(w.found("relative", false) == "-> sub/deep");
    BOOST_TEST(w.found("/absolute", false) == "-> /dir/sub");
    BOOST_TEST(w.found("/absolute/", false) == "dir");
    BOOST_TEST(w.found("/loop") == "!" + std::to_string(ELOOP));
    BOOST_TEST(w.found("/loop", false) == "-> loop");
}

BOOST_AUTO_TEST_CASE(a_name_that_is_free_has_a_place) {
    const World w;
    Place place;
    BOOST_TEST(resolve(w.from, "sub/new", true, place) == 0);
    BOOST_TEST(!place.object);
    BOOST_TEST(place.name == "new");
    BOOST_TEST(World::shown(place.parent) == "dir");
    BOOST_TEST(w.found("sub/new/") == "");
    BOOST_TEST(w.found("new/sub") == "!" + std::to_string(ENOENT));
    BOOST_TEST(w.found("/dangling") == "!" + std::to_string(ENOENT));
    BOOST_TEST(w.found("/file/x") == "!" + std::to_string(ENOTDIR));
    BOOST_TEST(w.found("/file/") == "!" + std::to_string(ENOTDIR));
    BOOST_TEST(w.found("") == "!" + std::to_string(ENOENT));
    BOOST_TEST(w.found(std::string(300, 'x')) == "!" + std::to_string(ENAMETOOLONG));
    fs::create_directory(w.top / "root/made");
    BOOST_TEST(resolve(w.from, "/dangling", true, place) == 0);
    BOOST_TEST(place.name == "later");
}

BOOST_AUTO_TEST_CASE(links_of_proc_lead_where_the_kernel_says) {
    World w;
    const sg::UniqueFd host(open("/", O_PATH | O_DIRECTORY));
    const sg::UniqueFd file(open((w.top / "root/file").c_str(), O_PATH));
    w.from.root = host.get();
    w.from.own_process = [](bool) { return sg::UniqueFd(open("/proc/self", O_PATH | O_DIRECTORY)); };
    BOOST_TEST(w.found("/proc/self/fd/" + std::to_string(file.get())) == "in");
    BOOST_TEST(w.found("/proc/thread-self/fd/" + std::to_string(w.start.get()) + "/sub/deep") == "deep");
    BOOST_TEST(w.found("/proc/self/fd/999") == "");
    fs::create_symlink("/proc/self/fd/" + std::to_string(file.get()), w.top / "root/dir/stdout");
    BOOST_TEST(w.found("stdout") == "in");
}

BOOST_AUTO_TEST_SUITE_END()
