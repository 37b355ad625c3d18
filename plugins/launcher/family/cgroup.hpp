// Limits of a container by control groups: versions 1 and 2 of the kernel's, a mix of both, or a scope of systemd.
//
// Kernel facts (Documentation/admin-guide/cgroup-v1, cgroup-v2.rst): a group is a directory, limits are its files, a
// process is moved by writing its number to cgroup.procs. In version 1 each controller has a tree of its own. In
// version 2 a group with processes cannot hand controllers to groups below it, so who is given no directory of his own
// has none to use.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace launcher {

struct DeviceRate {
    int64_t major = 0, minor = 0;
    uint64_t value = 0;
};

struct DeviceRule {
    bool allow = false;
    std::string type, access;
    std::string major = "*", minor = "*";
};

// OCI runtime-spec, "linux.resources".
struct Resources {
    std::optional<uint64_t> cpu_shares, cpu_period;
    std::optional<int64_t> cpu_quota, memory, memory_reservation, memory_swap, pids;
    std::string cpus, mems;
    bool oom_kill_disable = false;
    std::optional<uint64_t> io_weight;
    std::vector<DeviceRate> io_weights, read_bytes, write_bytes, read_operations, write_operations;
    std::vector<DeviceRule> devices;
    std::map<std::string, std::string> unified;
    bool any = false;
};

// One write to a file of a group.
struct GroupWrite {
    std::string controller, file, value;
    bool optional = false;  // kernels without the file are common, and another one says the same
};
std::vector<GroupWrite> writes_v1(const Resources& resources);
// Throws Code::unsupported for what version 2 has no file for.
std::vector<GroupWrite> writes_v2(const Resources& resources);

// Where the kernel's files are; tests have them elsewhere.
struct GroupPlaces {
    std::string mounts = "/proc/self/mountinfo", own = "/proc/self/cgroup", systemd = "/run/systemd/system";
    std::string name;  // of the group; "" = one that nobody else has
    std::string proc = "/proc";
};

class ControlGroup {
public:
    // Makes the group for these limits and writes them. Throws Error saying which controller cannot be used and why.
    // Without limits it makes none.
    explicit ControlGroup(const Resources& resources, const GroupPlaces& places = {});
    ControlGroup(const ControlGroup&) = delete;
    ControlGroup& operator=(const ControlGroup&) = delete;
    ~ControlGroup() { remove(); }  // when it is empty

    void enter();  // moves the calling process
    void keep() { directories_.clear(); }  // somebody else removes it
    const std::vector<std::string>& directories() const { return directories_; }

private:
    void make_v2(const std::string& top, const std::string& own, const std::vector<GroupWrite>& writes, const std::string& name);
    void enter_scope();
    void remove();

    std::vector<std::string> directories_;  // of this group, one for each tree
    std::vector<GroupWrite> in_scope_;      // what is written once systemd has made the scope
    std::string scope_;
    GroupPlaces places_;
};

// Removes groups by their directories (of an instance that has ended).
void remove_groups(const std::vector<std::string>& directories);
// Moves the calling process to the groups of another one; warns of those that it may not enter.
void enter_groups_of(pid_t pid, const GroupPlaces& places = {});

}  // namespace launcher
