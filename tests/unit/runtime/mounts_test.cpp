#include "runtime/mounts.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <filesystem>

#include "base/error.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(mounts)

namespace {

struct Fixture {
    LaunchOptions options;
    MountFacts facts;
    std::string directory;

    Fixture() {
        char name[] = "/var/tmp/sg-mounts-XXXXXX";
        directory = mkdtemp(name);
        std::filesystem::create_directories(directory + "/home/ann/work");
        std::filesystem::create_directories(directory + "/data");
        facts.user.uid = facts.container_uid = 1000;
        facts.user.gid = 1000;
        facts.user.name = "ann";
        facts.user.home = directory + "/home/ann";
        facts.cwd = directory + "/home/ann/work";
        facts.user_namespace = true;
        options.action = "exec";
    }
    ~Fixture() { std::filesystem::remove_all(directory); }

    MountPlan plan() { return plan_mounts(options, Settings::defaults(), facts); }
};

const Mount* at(const MountPlan& p, const std::string& destination) {
    for (const auto& m : p.mounts)
        if (m.destination == destination) return &m;
    return nullptr;
}

size_t index_of(const MountPlan& p, const std::string& destination) {
    const auto it = std::find_if(p.mounts.begin(), p.mounts.end(), [&](const Mount& m) { return m.destination == destination; });
    return static_cast<size_t>(it - p.mounts.begin());
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_default_list_has_apptainers_order, Fixture) {
    options.binds = {{directory + "/data", "/data", false}};
    const auto p = plan();
    const std::vector<std::string> order = {"/dev", "/proc", "/sys", facts.user.home, "/tmp", "/etc/passwd", "/etc/group", "/data"};
    for (size_t i = 1; i < order.size(); ++i) {
        BOOST_TEST_CONTEXT(order[i - 1] << " before " << order[i]) BOOST_TEST(index_of(p, order[i - 1]) < index_of(p, order[i]));
    }
    BOOST_TEST(at(p, "/dev")->no_dev == false);
    BOOST_TEST(at(p, "/data")->missing == "fail");
    BOOST_TEST(at(p, "/etc/passwd")->create == false);
}

BOOST_FIXTURE_TEST_CASE(another_directory_may_be_shown_as_dev, Fixture) {
    options.devices = directory + "/data";
    const auto p = plan();
    BOOST_TEST(at(p, "/dev")->source == directory + "/data");
    BOOST_TEST(at(p, "/dev")->no_dev == false);
}

BOOST_FIXTURE_TEST_CASE(a_current_directory_below_home_needs_no_mount_of_its_own, Fixture) {
    const auto p = plan();
    BOOST_TEST(at(p, facts.cwd) == nullptr);
    BOOST_TEST(p.cwd == facts.cwd);
    BOOST_TEST(!p.cwd_required);
}

BOOST_FIXTURE_TEST_CASE(another_current_directory_is_bound_unless_it_is_a_system_one, Fixture) {
    facts.cwd = directory + "/data";
    auto p = plan();
    // Below /var/tmp, which is bound already.
    BOOST_TEST(at(p, facts.cwd) == nullptr);
    options.no_mount = {"tmp"};
    p = plan();
    BOOST_REQUIRE(at(p, facts.cwd) != nullptr);
    BOOST_TEST(at(p, facts.cwd)->unless_same);
    for (const char* never : {"/", "/usr", "/etc", "/proc/self"}) {
        facts.cwd = never;
        const auto q = plan();
        BOOST_TEST(std::none_of(q.mounts.begin(), q.mounts.end(), [](const Mount& m) { return m.tag == "cwd"; }));
    }
}

BOOST_FIXTURE_TEST_CASE(what_was_put_in_the_place_of_the_current_directory_is_not_hidden_by_it, Fixture) {
    const auto shown = [&](const std::string& tag) {
        const auto p = plan();
        const auto last = std::find_if(p.mounts.rbegin(), p.mounts.rend(), [&](const Mount& m) { return m.destination == facts.cwd; });
        return last != p.mounts.rend() && last->tag == tag;
    };
    options.binds = {{directory + "/data", facts.cwd, false}};
    BOOST_TEST(shown("userbinds"));
    options.binds.clear();
    options.scratch = {facts.cwd};
    BOOST_TEST(shown("scratch"));
    options.scratch.clear();
    facts.cwd = facts.user.home;
    options.home = directory + "/data:" + facts.user.home;
    BOOST_TEST(shown("home"));
}

BOOST_FIXTURE_TEST_CASE(a_home_below_tmp_lies_on_the_containers_tmp, Fixture) {
    for (const char* place : {"/tmp/me", "/var/tmp/me"})
        for (const bool contain : {false, true}) {
            options.contain = contain;
            options.home = directory + "/data:" + place;
            const auto p = plan();
            BOOST_TEST_CONTEXT(place << " " << contain) BOOST_TEST(index_of(p, "/var/tmp") < index_of(p, place));
        }
    options.home = directory + "/data";  // below /var/tmp, which is empty here
    BOOST_TEST(index_of(plan(), "/var/tmp") < index_of(plan(), directory + "/data"));
}

BOOST_FIXTURE_TEST_CASE(contain_gives_empty_directories, Fixture) {
    options.contain = true;
    const auto p = plan();
    BOOST_TEST(at(p, "/dev")->type == "dev");
    BOOST_TEST(at(p, facts.user.home)->type == "session");
    BOOST_TEST(at(p, "/tmp")->type == "session");
    BOOST_TEST(at(p, "/tmp")->mode == 01777u);
    BOOST_TEST(p.cwd == facts.user.home);
    BOOST_TEST(std::none_of(p.mounts.begin(), p.mounts.end(), [](const Mount& m) { return m.tag == "cwd"; }));
}

BOOST_FIXTURE_TEST_CASE(a_working_directory_keeps_what_contain_makes, Fixture) {
    options.contain = true;
    options.workdir = directory + "/data";
    options.scratch = {"/scratch/deep"};
    const auto p = plan();
    BOOST_TEST(at(p, "/tmp")->source == directory + "/data/tmp");
    BOOST_TEST(at(p, "/var/tmp")->source == directory + "/data/var_tmp");
    BOOST_TEST(at(p, facts.user.home)->source == directory + "/data/home");
    BOOST_TEST(at(p, "/scratch/deep")->source == directory + "/data/scratch/scratch/deep");
    BOOST_TEST((std::filesystem::status(directory + "/data/tmp").permissions() == std::filesystem::perms(01777)));
    options.workdir = directory + "/absent";
    BOOST_CHECK_THROW(plan(), Error);
}

BOOST_FIXTURE_TEST_CASE(home_can_be_moved_or_left_out, Fixture) {
    options.home = directory + "/data:/somewhere";
    auto p = plan();
    BOOST_TEST(at(p, "/somewhere")->source == directory + "/data");
    BOOST_TEST(p.home.destination == "/somewhere");
    options.home = directory + "/data";
    p = plan();
    BOOST_TEST(p.home.destination == directory + "/data");
    options.home = ":";
    p = plan();
    BOOST_TEST(p.home.destination == facts.user.home);
    options.home.reset();
    options.no_home = true;
    p = plan();
    BOOST_TEST(at(p, facts.user.home) == nullptr);
    BOOST_TEST(p.home.destination == facts.user.home);
    options.no_home = false;
    options.home = directory + "/absent";
    BOOST_CHECK_THROW(plan(), Error);
}

BOOST_FIXTURE_TEST_CASE(root_has_its_home_at_root, Fixture) {
    facts.user.uid = facts.container_uid = 0;
    const auto p = plan();
    BOOST_TEST(p.home.destination == "/root");
    BOOST_TEST(at(p, "/root")->source == facts.user.home);
}

BOOST_FIXTURE_TEST_CASE(no_mount_words_and_paths_leave_mounts_out, Fixture) {
    options.no_mount = {"proc", "sys", "dev", "home", "tmp", "/etc/hosts", "cwd", "nonsense"};
    const auto p = plan();
    for (const std::string d : {"/proc", "/sys", "/dev", "/tmp", "/etc/hosts"}) BOOST_TEST(at(p, d) == nullptr);
    BOOST_TEST(at(p, facts.user.home) == nullptr);
    BOOST_TEST(p.warnings.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(files_made_to_fit_the_host_can_be_left_out_by_their_paths, Fixture) {
    for (const std::string path : {"/etc/passwd", "/etc/group", "/etc/resolv.conf"}) {
        options.no_mount = {};
        const bool there = at(plan(), path) != nullptr;
        BOOST_TEST((there || path == "/etc/resolv.conf"), path << " is not mounted at all");  // a machine may have no resolv.conf
        options.no_mount = {path};
        const auto p = plan();
        BOOST_TEST(at(p, path) == nullptr, path << " is mounted");
        BOOST_TEST(p.warnings.empty());
    }
    options.dns = {"192.0.2.1"};  // asked for by name
    BOOST_TEST(at(plan(), "/etc/resolv.conf") != nullptr);
}

BOOST_FIXTURE_TEST_CASE(a_process_namespace_gets_its_own_proc, Fixture) {
    options.pid = true;
    BOOST_TEST(at(plan(), "/proc")->type == "proc");
}

BOOST_FIXTURE_TEST_CASE(user_binds_are_resolved_and_checked, Fixture) {
    options.binds = {{"data", "data", true}, {directory + "/home", "/x", false}, {directory + "/data", "/x/../x", false}};
    facts.cwd = directory;
    const auto p = plan();
    BOOST_REQUIRE(at(p, directory + "/data") != nullptr);
    BOOST_TEST(at(p, directory + "/data")->read_only);
    BOOST_TEST(at(p, "/x")->source == directory + "/home");
    BOOST_TEST(p.warnings.size() == 1u);  // the second mount on /x
    options.binds = {{directory + "/absent", "/y", false}};
    BOOST_CHECK_EXCEPTION(plan(), Error, [](const Error& e) { return e.message().find("doesn't exist") != std::string::npos; });
    options.binds = {{directory, "relative", false}};
    BOOST_CHECK_EXCEPTION(plan(), Error, [](const Error& e) { return e.code() == Code::usage; });
}

BOOST_FIXTURE_TEST_CASE(devices_are_added_to_a_contained_dev, Fixture) {
    options.contain = true;
    options.binds = {{"/dev/null", "/dev/null", false}};
    const auto p = plan();
    BOOST_TEST(at(p, "/dev")->devices == std::vector<std::string>{"/dev/null"}, boost::test_tools::per_element());
    BOOST_TEST(std::none_of(p.mounts.begin(), p.mounts.end(), [](const Mount& m) { return m.tag == "userbinds"; }));
}

BOOST_FIXTURE_TEST_CASE(root_in_a_writable_image_sees_the_images_own_passwd, Fixture) {
    facts.user.uid = facts.container_uid = 0;
    options.writable = true;
    BOOST_TEST(at(plan(), "/etc/passwd") == nullptr);
}

BOOST_FIXTURE_TEST_CASE(root_can_add_users_where_changes_are_kept_or_forgotten, Fixture) {
    facts.user.uid = facts.container_uid = 0;
    options.writable_tmpfs = true;
    BOOST_TEST(at(plan(), "/etc/group") == nullptr);
    options.writable_tmpfs = false;
    OverlayOption overlay;
    overlay.path = directory + "/data";
    overlay.read_only = true;
    options.overlays = {overlay};
    BOOST_TEST(at(plan(), "/etc/passwd") != nullptr);
    options.overlays[0].read_only = false;
    BOOST_TEST(at(plan(), "/etc/passwd") == nullptr);
    facts.user.uid = facts.container_uid = 1000;
    BOOST_TEST(at(plan(), "/etc/passwd") != nullptr);
}

BOOST_FIXTURE_TEST_CASE(name_servers_and_a_host_name_are_generated, Fixture) {
    options.dns = {"9.9.9.9", "1.1.1.1"};
    options.hostname = "box";
    const auto p = plan();
    BOOST_TEST(at(p, "/etc/resolv.conf")->content == "nameserver 9.9.9.9\nnameserver 1.1.1.1\n");
    BOOST_TEST(at(p, "/etc/hostname")->content == "box\n");
}

BOOST_AUTO_TEST_CASE(paths_are_cleaned_as_a_chroot_would_see_them) {
    BOOST_TEST(clean_path("/a//b/./c/") == "/a/b/c");
    BOOST_TEST(clean_path("/../../a/../b") == "/b");
    BOOST_TEST(clean_path("//") == "/");
}

BOOST_AUTO_TEST_SUITE_END()
