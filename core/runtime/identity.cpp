#include "runtime/identity.hpp"

#include <fcntl.h>
#include <rapidjson/document.h>
#include <unistd.h>

#include <charconv>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg::runtime {
namespace {

constexpr size_t most_profile = 4u << 20;  // bytes of a seccomp profile

uint32_t parse_id(const std::string& text, const std::string& whole) {
    uint32_t id = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), id);
    if (r.ec != std::errc() || r.ptr != text.data() + text.size() || id == UINT32_MAX)
        throw Error(Code::usage, "--security " + whole + ": '" + text + "' is no user or group number");
    return id;
}

std::string read_profile(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw_errno("--security: cannot open the seccomp profile", path);
    std::string text;
    char buffer[16384];
    ssize_t n;
    while ((n = ::read(fd.get(), buffer, sizeof buffer)) > 0) {
        text.append(buffer, static_cast<size_t>(n));
        if (text.size() > most_profile) throw Error(Code::limit, "--security: the seccomp profile " + path + " is larger than 4 MiB");
    }
    if (n < 0) throw_errno("--security: cannot read the seccomp profile", path);
    rapidjson::Document d;
    d.Parse(text.data(), text.size());
    if (d.HasParseError() || !d.IsObject() || !d.HasMember("defaultAction"))
        throw Error(Code::invalid, "--security: " + path + " is no seccomp profile", "it is a JSON object with 'defaultAction' and 'syscalls', as container engines use it");
    return text;
}

struct Security {
    std::optional<uint32_t> uid;
    std::vector<uint32_t> gids;
};

// Splits the ids off; labels and the profile go into `out`.
Security parse_security(const LaunchOptions& options, Identity& out) {
    Security ids;
    for (const auto& word : options.security) {
        const size_t colon = word.find(':');
        const std::string kind = word.substr(0, colon), value = colon == std::string::npos ? std::string() : word.substr(colon + 1);
        if (value.empty()) throw Error(Code::usage, "--security " + word + ": the value is missing", "the form is uid:N, gid:N[:N], apparmor:PROFILE, selinux:LABEL or seccomp:FILE");
        if (kind == "uid") {
            ids.uid = parse_id(value, word);
        } else if (kind == "gid") {
            ids.gids.clear();
            for (size_t at = 0; at <= value.size();) {
                const size_t end = std::min(value.find(':', at), value.size());
                ids.gids.push_back(parse_id(value.substr(at, end - at), word));
                at = end + 1;
            }
        } else if (kind == "apparmor") {
            out.apparmor = value;
        } else if (kind == "selinux") {
            out.selinux = value;
        } else if (kind == "seccomp") {
            out.seccomp = read_profile(value);
        } else {
            throw Error(Code::usage, "--security " + word + ": unknown kind '" + kind + "'", "it is uid, gid, apparmor, selinux or seccomp");
        }
    }
    return ids;
}

void take_ids(const Security& ids, Identity& out) {
    if (!ids.uid && ids.gids.empty()) return;
    User& user = out.user;
    if (out.user_namespace) {
        if (ids.gids.size() > 1) throw Error(Code::unsupported, "--security gid: an ordinary user can be one group only in a container", "give one number");
        if (ids.uid) out.uids.front().container = *ids.uid;
        if (!ids.gids.empty()) out.gids.front().container = ids.gids.front();
    }
    const uint32_t gid = ids.gids.empty() ? user.gid : ids.gids.front();
    const std::string home = user.home;
    if (ids.uid) {
        user = user_by_id(*ids.uid);
        // In a user namespace it is still the caller, with the caller's files.
        if (out.user_namespace) user.home = home;
    }
    user.gid = gid;
    user.group_ids = ids.gids.empty() ? std::vector<uint32_t>() : ids.gids;
    user.groups = groups_by_id(ids.gids.empty() ? std::vector<uint32_t>{gid} : ids.gids);
}

CapabilitySet root_capabilities(const LaunchOptions& options, const Settings& settings, const User& caller, const std::string& capability_file) {
    if (options.keep_privileges) return all_capabilities();
    if (options.no_privileges) return 0;
    const std::string how = settings.text("root.default_capabilities");
    if (how == "no") return 0;
    if (how != "file") return all_capabilities();
    CapabilityFile file(capability_file);
    file.load();
    return file.allowed(caller);
}

}  // namespace

Identity container_identity(const LaunchOptions& options, const Settings& settings, const User& caller, bool real_root, const std::string& capability_file) {
    if (options.keep_privileges && options.no_privileges) throw Error(Code::usage, "--keep-privs and --no-privs exclude each other");
    for (const auto& [given, name] : {std::pair{options.keep_privileges, "--keep-privs"}, {options.allow_setuid, "--allow-setuid"}})
        if (given && !real_root) throw Error(Code::permission, std::string(name) + " is for root only", "--fakeroot makes one root in a container of one's own");
    Identity out;
    out.user = caller;
    out.user_namespace = options.user_namespace || options.fakeroot || !real_root;
    out.uids = {{caller.uid, caller.uid, 1}};
    out.gids = {{caller.gid, caller.gid, 1}};
    const Security ids = parse_security(options, out);
    if (options.fakeroot) {
        if (ids.uid || !ids.gids.empty()) throw Error(Code::usage, "--fakeroot and --security uid or gid exclude each other");
        out.fakeroot = choose_fakeroot(caller, {!options.ignore_subuid, !options.ignore_fakeroot_command});
        out.uids = out.fakeroot->uids;
        out.gids = out.fakeroot->gids;
        if (!out.fakeroot->note.empty()) out.notes.push_back(out.fakeroot->note);
        out.user.uid = out.user.gid = 0;
        out.user.name = out.user.gecos = "root";
        out.user.groups = {{"root", 0}};
        out.user.group_ids.clear();
    } else {
        take_ids(ids, out);
    }
    const CapabilitySet add = parse_capabilities(options.add_capabilities), drop = parse_capabilities(options.drop_capabilities);
    CapabilitySet base = 0;
    if (options.fakeroot || (caller.uid == 0 && out.user.uid == 0 && out.user_namespace))
        base = options.no_privileges ? 0 : all_capabilities();
    else if (real_root && out.user.uid == 0)
        base = root_capabilities(options, settings, caller, capability_file);
    const CapabilitySet wanted = (base | add) & ~drop;
    // Whoever is not root keeps with the next program only what is named.
    if (wanted != all_capabilities() || out.user.uid != 0) out.capabilities = wanted;
    out.no_new_privileges = !(real_root && (options.keep_privileges || options.allow_setuid));
    return out;
}

}  // namespace sg::runtime
