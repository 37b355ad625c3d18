// Limits on a stand-in tree: plain directories and files in the kernel's places.
#include <stdlib.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "family/cgroup.hpp"
#include "family/system.hpp"

namespace fs = std::filesystem;
using namespace launcher;

BOOST_AUTO_TEST_SUITE(cgroup)

namespace {

struct World {
    std::string top;
    GroupPlaces places;
    World() {
        char name[] = "/tmp/sg-cgroup-XXXXXX";
        top = mkdtemp(name);
        places = {top + "/mountinfo", top + "/own", top + "/systemd", "group", top + "/proc"};
    }
    ~World() { fs::remove_all(top); }
    void write(const std::string& name, const std::string& text) {
        fs::create_directories(fs::path(top + "/" + name).parent_path());
        std::ofstream(top + "/" + name) << text;
    }
    std::string read(const std::string& name) {
        std::ifstream file(top + "/" + name);
        std::stringstream out;
        out << file.rdbuf();
        return out.str();
    }
    // The group's directory: what the kernel would have filled.
    std::string group(const std::string& below) { return below + "/group"; }
    void v1(const std::string& controller, const std::vector<std::string>& files, const std::string& own = "/job") {
        std::ofstream(top + "/mountinfo", std::ios::app) << "30 20 0:1 / " << top << "/" << controller << " rw - cgroup cgroup rw," << controller << "\n";
        std::ofstream(top + "/own", std::ios::app) << "5:" << controller << ":" << own << "\n";
        for (const auto& f : files) write(group(controller + own) + "/" + f, "");
        write(group(controller + own) + "/cgroup.procs", "");
    }
    void v2(const std::string& controllers, const std::string& given, const std::string& own) {
        write("mountinfo", "30 20 0:1 / " + top + "/unified rw - cgroup2 cgroup rw\n");
        write("own", "0::" + own + "\n");
        write("unified/cgroup.controllers", controllers);
        write("unified/cgroup.subtree_control", given);
        write("unified" + own + "/cgroup.controllers", given);
        write("unified" + own + "/cgroup.subtree_control", "");
    }
};

Resources limits() {
    Resources r;
    r.any = true;
    r.memory = 1 << 20;
    r.memory_swap = 3 << 20;
    r.pids = 5;
    r.cpu_shares = 1024;
    r.cpu_quota = 50000;
    r.cpu_period = 100000;
    return r;
}

std::string all(const std::vector<GroupWrite>& writes) {
    std::string out;
    for (const auto& w : writes) out += w.file + "=" + w.value + "\n";
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(version_1_has_a_file_for_each_limit) {
    Resources r = limits();
    r.cpus = "0-1";
    r.oom_kill_disable = true;
    r.io_weights.push_back({8, 0, 500});
    r.read_bytes.push_back({8, 0, 1000});
    r.devices.push_back({false, "a", "rwm"});
    r.devices.push_back({true, "c", "rw", "1", "3"});
    BOOST_TEST(all(writes_v1(r)) ==
               "cpuset.cpus=0-1\ncpu.shares=1024\ncpu.cfs_period_us=100000\ncpu.cfs_quota_us=50000\nmemory.limit_in_bytes=1048576\n"
               "memory.memsw.limit_in_bytes=3145728\nmemory.oom_control=1\npids.max=5\nblkio.weight_device=8:0 500\n"
               "blkio.throttle.read_bps_device=8:0 1000\ndevices.deny=a\ndevices.allow=c 1:3 rw\n");
}

BOOST_AUTO_TEST_CASE(version_2_counts_swap_alone_and_has_weights) {
    Resources r = limits();
    r.io_weight = 1000;
    r.write_bytes.push_back({8, 0, 1000});
    r.unified["memory.high"] = "500000";
    BOOST_TEST(all(writes_v2(r)) == "cpu.weight=39\ncpu.max=50000 100000\nmemory.max=1048576\nmemory.swap.max=2097152\npids.max=5\nio.weight=10000\nio.max=8:0 wbps=1000\nmemory.high=500000\n");
    r.memory_swap = -1;
    BOOST_TEST(all(writes_v2(r)).find("memory.swap.max=max\n") != std::string::npos);
    r.unified["../x.y"] = "1";
    BOOST_CHECK_THROW(writes_v2(r), Error);
    r.unified.clear();
    r.devices.push_back({false, "a", "rwm"});
    BOOST_CHECK_THROW(writes_v2(r), Error);
}

BOOST_AUTO_TEST_CASE(in_version_1_each_controller_gets_a_group_below_the_callers) {
    World w;
    w.v1("memory", {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"});
    w.v1("pids", {"pids.max"});
    w.v1("cpu", {"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"});
    ControlGroup group(limits(), w.places);
    group.enter();
    BOOST_TEST(w.read(w.group("memory/job") + "/memory.limit_in_bytes") == "1048576");
    BOOST_TEST(w.read(w.group("pids/job") + "/pids.max") == "5");
    BOOST_TEST(w.read(w.group("cpu/job") + "/cpu.cfs_quota_us") == "50000");
    for (const char* c : {"memory", "pids", "cpu"}) BOOST_TEST(w.read(w.group(std::string(c) + "/job") + "/cgroup.procs") == std::to_string(getpid()));
    BOOST_TEST(group.directories().size() == 3u);
    group.keep();
}

BOOST_AUTO_TEST_CASE(a_limit_without_a_file_is_an_error_that_names_it) {
    World w;
    w.v1("memory", {"memory.limit_in_bytes"});
    w.v1("pids", {"pids.max"});
    w.v1("cpu", {"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"});
    BOOST_CHECK_EXCEPTION(ControlGroup(limits(), w.places), Error, [](const Error& e) { return e.message().find("memory.memsw.limit_in_bytes") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(a_controller_that_is_mounted_nowhere_is_named) {
    World w;
    w.v1("memory", {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"});
    BOOST_CHECK_EXCEPTION(ControlGroup(limits(), w.places), Error, [](const Error& e) {
        return e.code() == Code::unsupported && e.message().find("cpu, pids") != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(in_version_2_the_nearest_group_that_has_the_controllers_is_divided) {
    World w;
    w.v2("cpu io memory pids\n", "cpu memory pids\n", "/user/job");
    // /user hands nothing down: /user/job has no controllers; the top has all.
    w.write("unified/user/cgroup.controllers", "cpu memory pids\n");
    w.write("unified/user/cgroup.subtree_control", "cpu memory pids\n");
    w.write("unified/user/job/cgroup.controllers", "");
    for (const char* f : {"memory.max", "memory.swap.max", "pids.max", "cpu.weight", "cpu.max", "cgroup.procs"}) w.write(w.group("unified/user") + "/" + f, "");
    ControlGroup group(limits(), w.places);
    group.enter();
    BOOST_TEST(w.read(w.group("unified/user") + "/memory.max") == "1048576");
    BOOST_TEST(w.read(w.group("unified/user") + "/cgroup.procs") == std::to_string(getpid()));
    group.keep();
}

BOOST_AUTO_TEST_CASE(in_version_2_a_missing_controller_is_told) {
    World w;
    w.v2("cpu pids\n", "cpu pids\n", "/job");
    BOOST_CHECK_EXCEPTION(ControlGroup(limits(), w.places), Error, [](const Error& e) { return e.message().find("has no controller memory") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(without_limits_nothing_is_looked_at) {
    World w;
    const ControlGroup group(Resources(), w.places);
    BOOST_TEST(group.directories().empty());
}

BOOST_AUTO_TEST_CASE(systemd_moves_a_user_from_the_group_of_a_login_to_a_scope_and_to_nothing_else) {
    World w;
    w.v2("pids", "pids", "/user/session-1.scope");
    fs::create_directories(w.top + "/systemd");
    w.write("proc/1/comm", "systemd\n");
    w.write("bin/busctl", "#!/bin/sh\nprintf '%s ' \"$@\" > " + w.top + "/called\n");
    fs::permissions(w.top + "/bin/busctl", fs::perms::owner_all);
    const std::string path = getenv("PATH");
    setenv("PATH", (w.top + "/bin:" + path).c_str(), 1);
    for (const std::string group : {"/user/app/container.scope", "/user/app/plain"}) {
        fs::create_directories(w.top + "/unified" + group + "/cgroup.procs");  // cannot be written
        w.write("proc/77/cgroup", "0::" + group + "\n");
        enter_groups_of(77, w.places);
    }
    setenv("PATH", path.c_str(), 1);
    const std::string called = w.read("called"),
                      wanted = "AttachProcessesToUnit ssau container.scope / 1 " + std::to_string(getpid()) + " ";
    BOOST_TEST(called.find(wanted) != std::string::npos, called);
    BOOST_TEST((called.find("--user") == std::string::npos) == (geteuid() == 0), called);
}

BOOST_AUTO_TEST_CASE(in_a_pid_namespace_that_is_not_systemds_a_group_is_divided_without_it) {
    World w;
    w.v2("memory pids cpu", "memory pids cpu", "/a");
    fs::create_directories(w.top + "/systemd");
    w.write("proc/1/comm", "bash\n");
    Resources r;
    r.any = true;
    r.pids = 5;
    w.write("unified/a/group/pids.max", "");
    ControlGroup group(r, w.places);
    BOOST_REQUIRE(!group.directories().empty());
    BOOST_TEST(w.read("unified/a/group/pids.max") == "5");
}

BOOST_AUTO_TEST_SUITE_END()
