#include "cli/resource_options.hpp"

#include <charconv>

namespace sg {

namespace {

int64_t number(const std::string& text, const char* option) {
    int64_t n = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), n);
    if (r.ec != std::errc() || r.ptr != text.data() + text.size() || n < -1) throw Error(Code::usage, std::string(option) + " " + text + ": not a number");
    return n;
}

}  // namespace

void ResourceOptions::declare(Arguments& arguments) {
    constexpr std::string_view group = "Limits";
    const auto text = [&](const char* name, std::string& to, const char* variable, const char* value, const char* help) {
        arguments.text(name, to, help).variable(variable).shown_as(value).group(group);
    };
    text("--apply-cgroups", file_, "APPLY_CGROUPS", "FILE", "Limits from a TOML file");
    text("--cpus", cpus_, "CPUS", "N", "Processors to use at most, as 1.5");
    text("--cpu-shares", cpu_shares_, "CPU_SHARES", "N", "Share of busy processors (1024 is usual)");
    text("--cpuset-cpus", cpuset_cpus_, "CPUSET_CPUS", "LIST", "Processors to use, as 0-3,7");
    text("--cpuset-mems", cpuset_mems_, "CPUSET_MEMS", "LIST", "Memory nodes to use");
    text("--memory", memory_, "MEMORY", "BYTES", "Memory at most, as 2g");
    text("--memory-reservation", reservation_, "MEMORY_RESERVATION", "BYTES", "Memory that is left when the machine is short of it");
    text("--memory-swap", swap_, "MEMORY_SWAP", "BYTES", "Memory and swap together at most; -1: no limit of swap");
    arguments.flag("--oom-kill-disable", oom_kill_disable_, "Stop instead of killing when the memory is used up").variable("OOM_KILL_DISABLE").group(group);
    text("--pids-limit", pids_, "PIDS_LIMIT", "N", "Processes at most");
    text("--blkio-weight", weight_, "BLKIO_WEIGHT", "N", "Share of busy disks, 10 to 1000");
    arguments.list("--blkio-weight-device", device_weights_, "The same for one disk: /dev/sda:500").variable("BLKIO_WEIGHT_DEVICE").shown_as("DEVICE:N").group(group);
}

void ResourceOptions::settle(runtime::LaunchOptions& launch) const {
    runtime::Resources r;
    if (!file_.empty()) r = runtime::read_resources(file_);
    if (!cpus_.empty()) runtime::set_cpus(r, cpus_);
    if (!cpu_shares_.empty()) r.cpu_shares = static_cast<uint64_t>(std::max<int64_t>(number(cpu_shares_, "--cpu-shares"), 0));
    if (!cpuset_cpus_.empty()) r.cpus = cpuset_cpus_;
    if (!cpuset_mems_.empty()) r.mems = cpuset_mems_;
    if (!memory_.empty()) r.memory = runtime::parse_bytes(memory_, "--memory");
    if (!reservation_.empty()) r.memory_reservation = runtime::parse_bytes(reservation_, "--memory-reservation");
    if (!swap_.empty()) r.memory_swap = runtime::parse_bytes(swap_, "--memory-swap", true);
    if (oom_kill_disable_) r.oom_kill_disable = true;
    if (!pids_.empty()) r.pids = number(pids_, "--pids-limit");
    if (!weight_.empty()) r.io_weight = static_cast<uint64_t>(std::max<int64_t>(number(weight_, "--blkio-weight"), 0));
    for (const auto& text : device_weights_) r.io_weights.push_back(runtime::parse_device_weight(text));
    // 0 is no limit, as everywhere; a group of no memory would have its first process killed.
    for (std::optional<int64_t>* limit : {&r.memory, &r.memory_reservation, &r.memory_swap})
        if (*limit == 0) limit->reset();
    if (!r.any()) return;
    runtime::check(r);
    launch.resources = std::move(r);
}

}  // namespace sg
