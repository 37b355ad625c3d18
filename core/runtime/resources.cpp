#include "runtime/resources.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/error.hpp"

namespace sg::runtime {

bool Resources::any() const {
    return cpu_shares || cpu_period || cpu_quota || !cpus.empty() || !mems.empty() || memory || memory_reservation || memory_swap ||
           oom_kill_disable || pids || io_weight || !io_weights.empty() || !read_bytes.empty() || !write_bytes.empty() ||
           !read_operations.empty() || !write_operations.empty() || !devices.empty() || !unified.empty();
}

void set_cpus(Resources& to, const std::string& text) {
    char* end = nullptr;
    const double n = std::strtod(text.c_str(), &end);
    if (text.empty() || *end || !std::isfinite(n) || n < 0.01 || n > 1e6) throw Error(Code::usage, "--cpus " + text + ": not a number of processors", "write 2 or 0.5");
    to.cpu_period = 100000;
    to.cpu_quota = static_cast<int64_t>(n * 100000 + 0.5);  // no libm: it would be mapped by every start
}

int64_t parse_bytes(const std::string& text, const char* option, bool unlimited) {
    if (unlimited && text == "-1") return -1;
    uint64_t n = 0;
    const char *begin = text.data(), *end = begin + text.size();
    const auto [stop, failure] = std::from_chars(begin, end, n);
    std::string unit(stop, end);
    for (char& c : unit)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (unit.size() > 1 && unit.back() == 'b') unit.pop_back();
    if (unit.size() > 1 && unit.back() == 'i') unit.pop_back();
    const std::string units = "bkmgt";
    const size_t power = unit.empty() ? 0 : unit.size() == 1 ? units.find(unit) : std::string::npos;
    if (failure != std::errc() || power == std::string::npos || n > (uint64_t{INT64_MAX} >> (10 * power)))
        throw Error(Code::usage, std::string(option) + " " + text + ": not a number of bytes", "write 512m or 2g");
    return static_cast<int64_t>(n << (10 * power));
}

DeviceRate parse_device_weight(const std::string& text) {
    const auto wrong = [&](const std::string& why) { return Error(Code::usage, "--blkio-weight-device " + text + ": " + why, "write /dev/sda:500"); };
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos) throw wrong("a weight is missing");
    DeviceRate out;
    const std::string device = text.substr(0, colon);
    const char *begin = text.data() + colon + 1, *end = text.data() + text.size();
    if (const auto r = std::from_chars(begin, end, out.value); r.ec != std::errc() || r.ptr != end) throw wrong("the weight is no number");
    if (device.starts_with("/")) {
        struct stat s;
        if (::stat(device.c_str(), &s) != 0 || !S_ISBLK(s.st_mode)) throw wrong(device + " is no block device");
        out.major = ::major(s.st_rdev);
        out.minor = ::minor(s.st_rdev);
        return out;
    }
    const size_t middle = device.find(':');
    if (middle == std::string::npos) throw wrong("neither a device nor its two numbers");
    const auto number = [&](std::string_view part) {
        int64_t n = 0;
        const auto r = std::from_chars(part.data(), part.data() + part.size(), n);
        if (r.ec != std::errc() || r.ptr != part.data() + part.size() || n < 0) throw wrong("neither a device nor its two numbers");
        return n;
    };
    out.major = number(std::string_view(device).substr(0, middle));
    out.minor = number(std::string_view(device).substr(middle + 1));
    return out;
}

void check(const Resources& r) {
    const auto weight = [](uint64_t w) {
        if (w < 10 || w > 1000) throw Error(Code::usage, "the block I/O weight " + std::to_string(w) + " is not between 10 and 1000");
    };
    if (r.io_weight) weight(*r.io_weight);
    for (const auto& d : r.io_weights) weight(d.value);
    if (r.cpu_shares && (*r.cpu_shares < 2 || *r.cpu_shares > 262144))
        throw Error(Code::usage, "the processor shares " + std::to_string(*r.cpu_shares) + " are not between 2 and 262144");
    if (r.memory_swap && *r.memory_swap >= 0 && (!r.memory || *r.memory_swap < *r.memory))
        throw Error(Code::usage, "a limit of memory and swap needs one of memory that is not above it", "--memory-swap counts both together");
    for (const std::string& list : {r.cpus, r.mems})
        if (list.find_first_not_of("0123456789-,") != std::string::npos) throw Error(Code::usage, "'" + list + "' is no list of numbers", "write 0-3,7");
}

}  // namespace sg::runtime
