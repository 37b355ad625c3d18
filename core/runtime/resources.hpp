// Limits on what a container may take of the machine, as the OCI runtime-spec has them ("linux.resources").
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sg::runtime {

struct DeviceRate {
    int64_t major = 0, minor = 0;
    uint64_t value = 0;  // a weight (10 to 1000), bytes or operations in a second
};

struct DeviceRule {
    bool allow = false;
    std::string type = "a", access = "rwm";  // "a", "b", "c"
    std::optional<int64_t> major, minor;     // absent: all
};

struct Resources {
    std::optional<uint64_t> cpu_shares, cpu_period;
    std::optional<int64_t> cpu_quota;  // microseconds of each period
    std::string cpus, mems;            // "0-3,7"
    std::optional<int64_t> memory, memory_reservation, memory_swap;  // bytes; swap: memory and swap together, -1 = no limit
    std::optional<bool> oom_kill_disable;
    std::optional<int64_t> pids;
    std::optional<uint64_t> io_weight;
    std::vector<DeviceRate> io_weights, read_bytes, write_bytes, read_operations, write_operations;
    std::vector<DeviceRule> devices;
    std::map<std::string, std::string> unified;  // files of control groups v2 and what is written to them

    bool any() const;
};

// "1.5" processors to quota and period. Each of these throws Code::usage naming `option` for what it cannot read.
void set_cpus(Resources& to, const std::string& text);
// "512m", "1g", "1073741824": bytes; k, m, g, t are powers of 1024; "-1" where `unlimited` is allowed.
int64_t parse_bytes(const std::string& text, const char* option, bool unlimited = false);
// "/dev/sda:500", or "8:0:500".
DeviceRate parse_device_weight(const std::string& text);
void check(const Resources& resources);  // values that exclude each other or are out of range

// `--apply-cgroups`: a TOML file with the runtime-spec's members (config-linux.md, "Control groups"). Throws Error with
// file and line; a member that is not known is an error.
Resources read_resources(const std::string& path);

}  // namespace sg::runtime
