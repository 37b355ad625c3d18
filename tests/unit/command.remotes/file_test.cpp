#include "remotes/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <singularity/error.hpp>
#include <thread>

using namespace remotes;
using singularity::Code;
using singularity::Error;

namespace {

struct Folder {
    std::string path;
    Folder() {
        char name[] = "/tmp/remotes-test-XXXXXX";
        path = ::mkdtemp(name);
        std::filesystem::create_directories(path + "/home");
        std::filesystem::create_directories(path + "/prefix/bin");
        std::filesystem::create_directories(path + "/prefix/etc");
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Paths paths() const { return Paths::at(path + "/home", path + "/prefix/bin/singularity"); }
    void write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(path + "/" + name).parent_path());
        std::ofstream(path + "/" + name) << text;
    }
    std::string read(const std::string& name) const {
        std::ifstream f(path + "/" + name);
        return {std::istreambuf_iterator<char>(f), {}};
    }
};

unsigned mode_of(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

}  // namespace

BOOST_AUTO_TEST_CASE(without_any_file_there_is_the_default_remote) {
    const Folder f;
    const Config c = read_user(f.paths());
    BOOST_TEST(c.active == "SylabsCloud");
    BOOST_TEST(c.need_active().uri == "cloud.sylabs.io");
    BOOST_TEST(c.need_active().system);
}

BOOST_AUTO_TEST_CASE(what_is_changed_is_whole_and_for_its_owner_alone) {
    const Folder f;
    const std::string where = edit_user(f.paths(), [](Config& c) {
        c.add({"site", "host", "secret", false, false, false, {}});
    });
    BOOST_TEST(where == f.path + "/home/.singularity/remote.yaml");
    BOOST_TEST(mode_of(where) == 0600u);
    BOOST_TEST(mode_of(f.path + "/home/.singularity") == 0700u);
    BOOST_TEST(read_user(f.paths()).need("site").token == "secret");
    // Nothing else stays.
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(f.path + "/home/.singularity"), {}) == 1);
    // A change that fails changes nothing.
    const std::string before = f.read("home/.singularity/remote.yaml");
    BOOST_CHECK_THROW(edit_user(f.paths(), [](Config& c) { c.remove("nope", false); }), Error);
    BOOST_TEST(f.read("home/.singularity/remote.yaml") == before);
}

BOOST_AUTO_TEST_CASE(the_sites_file_is_readable_for_all) {
    const Folder f;
    const std::string where = edit_system(f.paths(), [](Config& c) {
        c.add({"site", "host", "", true, false, false, {}});
    });
    BOOST_TEST(where == f.path + "/prefix/etc/singularity/remote.yaml");
    BOOST_TEST(mode_of(where) == 0644u);
    BOOST_TEST(read_user(f.paths()).need("site").system);
}

BOOST_AUTO_TEST_CASE(the_file_of_apptainer_is_used_when_there_is_no_own) {
    const Folder f;
    f.write("home/.apptainer/remote.yaml",
            "Active: a\nRemotes:\n    a:\n        URI: host\n        System: false\n        Exclusive: false\n");
    BOOST_TEST(edit_user(f.paths(), [](Config& c) { c.need("a").token = "t"; }) ==
               f.path + "/home/.apptainer/remote.yaml");
    BOOST_TEST(f.read("home/.apptainer/remote.yaml").find("Token: t") != std::string::npos);
    f.write("home/.singularity/remote.yaml",
            "Active: b\nRemotes:\n    b:\n        URI: host\n        System: false\n        Exclusive: false\n");
    BOOST_TEST(read_user(f.paths()).active == "b");
}

BOOST_AUTO_TEST_CASE(a_link_stays_a_link) {
    const Folder f;
    f.write("elsewhere/mine.yaml",
            "Active: a\nRemotes:\n    a:\n        URI: host\n        System: false\n        Exclusive: false\n");
    std::filesystem::create_directories(f.path + "/home/.singularity");
    std::filesystem::create_symlink(f.path + "/elsewhere/mine.yaml", f.path + "/home/.singularity/remote.yaml");
    edit_user(f.paths(), [](Config& c) { c.need("a").token = "t"; });
    BOOST_TEST(std::filesystem::is_symlink(f.path + "/home/.singularity/remote.yaml"));
    BOOST_TEST(f.read("elsewhere/mine.yaml").find("Token: t") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_token_of_old_versions_is_the_default_remotes) {
    const Folder f;
    f.write("home/.singularity/sylabs-token", "old-token\n");
    BOOST_TEST(read_user(f.paths()).need_active().token == "old-token");
    edit_user(f.paths(), [](Config& c) { c.add({"more", "host", "", false, false, false, {}}); });
    BOOST_TEST(read_user(f.paths()).need_active().token == "old-token");
    edit_user(f.paths(), [](Config& c) { c.need("SylabsCloud").token.clear(); });
    BOOST_TEST(read_user(f.paths()).need_active().token == "");
}

BOOST_AUTO_TEST_CASE(changes_at_the_same_time_are_all_kept) {
    const Folder f;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&, i] {
            edit_user(f.paths(), [i](Config& c) {
                c.add({"r" + std::to_string(i), "host", "", false, false, false, {}});
            });
        });
    for (auto& t : threads) t.join();
    BOOST_TEST(read_user(f.paths()).remotes.size() == 9u);
}

BOOST_AUTO_TEST_CASE(what_is_no_file_or_too_large_is_refused) {
    const Folder f;
    std::filesystem::create_directories(f.path + "/home/.singularity/remote.yaml");
    BOOST_CHECK_THROW(read_user(f.paths()), Error);
    std::filesystem::remove(f.path + "/home/.singularity/remote.yaml");
    BOOST_REQUIRE(::mkfifo((f.path + "/home/.singularity/remote.yaml").c_str(), 0600) == 0);
    BOOST_CHECK_THROW(read_user(f.paths()), Error);
    std::filesystem::remove(f.path + "/home/.singularity/remote.yaml");
    f.write("home/.singularity/remote.yaml", std::string((1 << 20) + 1, '#'));
    BOOST_CHECK_THROW(read_user(f.paths()), Error);
}
