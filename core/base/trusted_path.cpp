#include "base/trusted_path.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace sg {

static std::string parent_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string unsafe_way(const std::string& path, const std::vector<uint32_t>& owners, Way way) {
    std::string at = parent_of(path);
    struct stat st {};
    if (stat(at.c_str(), &st) != 0) return {};
    if (st.st_uid != 0 && st.st_uid != geteuid() && std::find(owners.begin(), owners.end(), st.st_uid) == owners.end())
        return at + ", which belongs to another user (uid " + std::to_string(st.st_uid) + ")";
    // Who may write to a sticky directory can add files there, but not take away those of others. A group with the
    // owner's number is the owner's own.
    const bool sticky = st.st_mode & S_ISVTX;
    if (!sticky && ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != 0 && st.st_gid != st.st_uid)))
        return at + ", which other users may write to";
    if (way == Way::parent) return {};
    const std::unique_ptr<char, void (*)(void*)> real(realpath(at.c_str(), nullptr), std::free);
    if (real) at = real.get();
    while (at != "/") {
        at = parent_of(at);
        if (stat(at.c_str(), &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
            return at + ", which other users may write to";
    }
    return {};
}

}  // namespace sg
