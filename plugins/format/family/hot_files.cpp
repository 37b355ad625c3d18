// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <family/hot_files.hpp>

namespace squashfs {

namespace {

bool take(std::string_view& text, std::string_view start) {
    if (!text.starts_with(start)) return false;
    text.remove_prefix(start.size());
    return true;
}

// What is left behind "lib/", "lib64/" or another such directory, with a directory of the architecture or not
// ("x86_64-linux-gnu/"); empty: elsewhere.
std::string_view library_name(std::string_view path) {
    if (!take(path, "lib")) return {};
    if (!take(path, "/") && !take(path, "64/") && !take(path, "32/") && !take(path, "x32/")) return {};
    const size_t slash = path.find('/');
    if (slash == path.npos) return path;
    if (path.substr(0, slash).find("-linux-") == path.npos || path.find('/', slash + 1) != path.npos) return {};
    return path.substr(slash + 1);
}

Heat of_library(std::string_view name) {
    // "ld-linux-x86-64.so.2", "ld-2.31.so", "ld-musl-x86_64.so.1", "ld64.so.2"; "libc.so.6", "libc-2.31.so"
    const bool shared = name.find(".so") != name.npos;
    if (!shared) return Heat::none;
    if (name.starts_with("ld-") || name.starts_with("ld64.so") || name.starts_with("ld.so")) return Heat::always;
    if (name.starts_with("libc.so.") || name.starts_with("libc-2.")) return Heat::always;
    for (const std::string_view start : {"libtinfo.so.", "libdl.so.", "libdl-2."})
        if (name.starts_with(start)) return Heat::shell;
    return Heat::none;
}

Heat of_program(std::string_view name) {
    if (name == "true") return Heat::always;
    for (const std::string_view shell : {"sh", "dash", "bash", "ash", "busybox"})
        if (name == shell) return Heat::shell;
    return Heat::none;
}

}  // namespace

Heat heat_of(std::string_view path) {
    take(path, "/");
    if (path.starts_with(".singularity.d/")) return Heat::always;
    if (take(path, "etc/"))
        return path == "passwd" || path == "group" || path == "nsswitch.conf" || path == "ld.so.cache" ? Heat::always
                                                                                                       : Heat::none;
    take(path, "usr/");
    if (take(path, "bin/")) return of_program(path);
    return of_library(library_name(path));
}

bool met_at_start(std::string_view path) {
    take(path, "/");
    if (path == ".singularity.d" || heat_of(path) != Heat::none) return true;
    // Mount points of every container, and the links of a merged /usr.
    for (const std::string_view name : {"bin",  "dev",     "etc",     "etc/hosts", "etc/localtime", "etc/resolv.conf",
                                        "home", "lib",     "lib32",   "lib64",     "libx32",        "mnt",
                                        "proc", "root",    "run",     "sbin",      "sys",           "tmp",
                                        "usr",  "usr/bin", "usr/lib", "usr/lib32", "usr/lib64",     "usr/libx32",
                                        "var",  "var/tmp"})
        if (path == name) return true;
    take(path, "usr/");
    return take(path, "lib/") && path.find("-linux-") != path.npos && path.find('/') == path.npos;
}

uint64_t hot_budget(uint64_t total) { return std::clamp(total / 64, uint64_t{1} << 20, most_hot_bytes); }

}  // namespace squashfs
