#include "build/space.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstdio>
#include <unordered_set>

#include "base/log.hpp"

namespace sg {

namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t inflated = 2;  // a layer's files are at least so many times its bytes

std::string directory_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// "1.5 GiB", "12 MiB"
std::string amount(uint64_t bytes) {
    static const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double n = static_cast<double>(bytes);
    size_t unit = 0;
    while (n >= 1024 && unit + 1 < sizeof units / sizeof *units) n /= 1024, ++unit;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 || n >= 10 ? "%.0f %s" : "%.1f %s", n, units[unit]);
    return text;
}

void expect_image(const std::string& target, uint64_t bytes) {
    expect_space(target, bytes, directory_of(target), "it may not fit");
}

}  // namespace

void expect_space(const std::string& what, uint64_t bytes, const std::string& directory, const std::string& hint) {
    struct statvfs fs {};
    if (statvfs(directory.c_str(), &fs) != 0 || fs.f_blocks == 0) return;  // nobody can tell
    const uint64_t free = static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize;
    if (free < bytes)
        log::warning(what + " needs about " + amount(bytes) + " in " + directory + ", where " + amount(free) +
                     " are free: " + hint);
}

void expect_space_for_image(const std::string& target, const FormatEntry& format, const OpenedImage& base,
                            const singularity::ForeignRoot& root) {
    struct stat st {};
    const bool stored = !format.directory && !base.format().directory && stat(base.path().c_str(), &st) == 0;
    if (stored || format.directory)
        expect_image(target, stored ? static_cast<uint64_t>(st.st_size) : unpacked_bytes(root));
}

void expect_space_for_image(const std::string& target, const FormatEntry& format,
                            const std::vector<LayerInput>& layers) {
    uint64_t bytes = 0;
    for (const LayerInput& layer : layers)
        if (layer.size != SG_SIZE_UNKNOWN) bytes += layer.size;
    expect_image(target, format.directory ? bytes * inflated : bytes);
}

uint64_t unpacked_bytes(const singularity::ForeignRoot& root) {
    uint64_t bytes = 0;
    std::unordered_set<uint64_t> seen, directories{root.root()};
    std::vector<uint64_t> todo{root.root()};
    while (!todo.empty()) {
        const uint64_t directory = todo.back();
        todo.pop_back();
        bytes += page;
        root.list(directory, [&](std::string_view, uint64_t node, uint32_t type) {
            if (S_ISDIR(type) && directories.insert(node).second) todo.push_back(node);
            if (!S_ISREG(type)) return true;
            const sg_attr a = root.stat(node);
            if (a.nlink <= 1 || seen.insert(a.inode).second) bytes += (a.size + page - 1) / page * page;
            return true;
        });
    }
    return bytes;
}

}  // namespace sg
