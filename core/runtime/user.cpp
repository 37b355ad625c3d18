#include "runtime/user.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/unique_fd.hpp"

namespace sg::runtime {
namespace {

std::string slurp(const char* path) {
    UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    std::string out;
    char buffer[16384];
    ssize_t n = 0;
    while (fd && out.size() < (16u << 20) && (n = ::read(fd.get(), buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<size_t>(n));
    return out;
}

std::vector<std::string_view> fields(std::string_view line) {
    std::vector<std::string_view> out;
    out.reserve(7);
    for (size_t at = 0;;) {
        const size_t end = line.find(':', at);
        out.push_back(line.substr(at, end == std::string_view::npos ? end : end - at));
        if (end == std::string_view::npos) return out;
        at = end + 1;
    }
}

bool parse_id(std::string_view text, uint32_t& out) {
    const auto r = std::from_chars(text.data(), text.data() + text.size(), out);
    return r.ec == std::errc() && r.ptr == text.data() + text.size();
}

// Calls f with the fields of each line that has `n` or more and the id in field 2; f returns true to stop.
template <class F>
bool scan(std::string_view text, size_t n, uint32_t id, F&& f) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const auto line = fields(text.substr(0, end));
        uint32_t found = 0;
        if (line.size() >= n && parse_id(line[2], found) && found == id && f(line)) return true;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return false;
}

}  // namespace

bool find_passwd(const std::string& text, uint32_t uid, User& user) {
    return scan(text, 7, uid, [&](const auto& f) {
        user.name = f[0], user.gecos = f[4], user.home = f[5], user.shell = f[6];
        (void)parse_id(f[3], user.gid);
        return true;
    });
}

bool find_group(const std::string& text, uint32_t gid, std::string& name) {
    return scan(text, 3, gid, [&](const auto& f) { return name = f[0], true; });
}

namespace {

// False for somebody whom the host does not know: he gets the name "uidN" and the home "/".
bool look_up(uint32_t uid, User& user) {
    user.uid = uid;
    bool known = true;
    if (!find_passwd(slurp("/etc/passwd"), uid, user)) {
        if (const passwd* p = ::getpwuid(uid)) {
            user.name = p->pw_name, user.gecos = p->pw_gecos ? p->pw_gecos : "", user.home = p->pw_dir,
            user.shell = p->pw_shell;
            user.gid = p->pw_gid;
        } else {
            user.name = "uid" + std::to_string(uid);
            user.home = "/";
            known = false;
        }
    }
    if (user.shell.empty()) user.shell = "/bin/sh";
    return known;
}

}  // namespace

User user_by_id(uint32_t uid) {
    User user;
    (void)look_up(uid, user);
    return user;
}

std::vector<Group> groups_by_id(const std::vector<uint32_t>& ids) {
    std::vector<Group> out;
    const std::string text = slurp("/etc/group");
    for (const uint32_t id : ids) {
        std::string name;
        if (!find_group(text, id, name)) {
            const group* g = ::getgrgid(id);
            if (!g) continue;
            name = g->gr_name;
        }
        out.push_back({name, id});
    }
    return out;
}

User current_user() {
    User user;
    struct stat home;
    // Batch systems and pods start programs under numbers that only they know, and say where their home is.
    if (const char* told = std::getenv("HOME");
        !look_up(::geteuid(), user) && told && *told == '/' && ::stat(told, &home) == 0 && S_ISDIR(home.st_mode))
        user.home = told;
    user.gid = ::getegid();
    const int count = ::getgroups(0, nullptr);
    std::vector<gid_t> ids(static_cast<size_t>(std::max(count, 0)));
    if (count > 0) ids.resize(static_cast<size_t>(std::max(::getgroups(count, ids.data()), 0)));
    user.group_ids.assign(ids.begin(), ids.end());
    ids.erase(std::remove(ids.begin(), ids.end(), user.gid), ids.end());
    ids.insert(ids.begin(), user.gid);
    user.groups = groups_by_id({ids.begin(), ids.end()});
    return user;
}

}  // namespace sg::runtime
