#include "hub/builder/options.hpp"

#include <pwd.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <fstream>
#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

[[noreturn]] void refuse(const std::string& key, const std::string& why, const std::string& hint = {}) {
    throw Error(Code::invalid, "hub.builder." + key + ": " + why, hint);
}

// Paths go through option lists with ':' and ',' between their parts.
const std::string& plain_path(const std::string& key, const std::string& path) {
    for (const char c : path)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' ||
              c == '_' || c == '-'))
            refuse(key, "'" + path + "' has other characters than letters, digits, '/', '.', '_' and '-'");
    if (path.empty() || path[0] != '/') refuse(key, "'" + path + "' is no absolute path");
    return path;
}

// subuid(5): "NAME:FIRST:COUNT", the name or the number of the user.
uint32_t first_id(const char* file, const std::string& name, uid_t uid) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        const size_t one = line.find(':'), two = line.find(':', one + 1);
        if (one == std::string::npos || two == std::string::npos) continue;
        if (line.substr(0, one) != name && line.substr(0, one) != std::to_string(uid)) continue;
        const int64_t first = std::strtoll(line.c_str() + one + 1, nullptr, 10),
                      count = std::strtoll(line.c_str() + two + 1, nullptr, 10);
        if (first > 0 && first < int64_t{1} << 32 && count >= 65536) return static_cast<uint32_t>(first);
    }
    return 0;
}

}  // namespace

std::vector<std::string> BuilderOptions::user_namespace() const {
    std::vector<std::string> out = {"--user", "--map-root-user"};
    if (!subordinate_ids()) return out;
    out.push_back("--map-users=" + std::to_string(first_uid) + ",1,65536");
    out.push_back("--map-groups=" + std::to_string(first_gid) + ",1,65536");
    return out;
}

BuilderOptions BuilderOptions::read(const singularity::Host& host, const std::string& data) {
    BuilderOptions o;
    const auto text = [&](const char* key) {
        return host.text((std::string("hub.builder.") + key).c_str()).value_or("");
    };
    const auto number = [&](const char* key, int64_t least, int64_t most) {
        const int64_t value = host.integer((std::string("hub.builder.") + key).c_str(), least);
        if (value < least || value > most)
            refuse(key,
                   std::to_string(value) + " is not from " + std::to_string(least) + " to " + std::to_string(most));
        return value;
    };
    const std::string executor = text("executor");
    if (executor.empty() || executor == "none") return o;
    if (executor != "local" && executor != "slurm")
        refuse("executor", "'" + executor + "' is none of none, local and slurm");
    o.kind = executor == "local" ? Kind::local : Kind::slurm;
    if (::geteuid() == 0)
        throw Error(Code::permission,
                    "a hub with a builder must not run as root: what a stranger's definition does would be this user's",
                    "run it as a user of its own, or set hub.builder.executor to none");
    o.image = text("image");
    plain_path("image", o.image);
    if (::access(o.image.c_str(), R_OK) != 0)
        refuse("image", "cannot read '" + o.image + "': " + std::strerror(errno),
               "the hub's page of the administrator's guide tells how to make a builder image");
    o.directory = text("directory");
    if (o.directory.empty()) o.directory = data + "/builds";
    plain_path("directory", o.directory);
    const std::string network = text("network");
    if (network != "none" && network != "internet") refuse("network", "'" + network + "' is neither none nor internet");
    o.internet = network == "internet";
    o.concurrent = number("concurrent", 1, 1000);
    o.cpus = number("cpus", 1, 100000);
    o.memory = number("memory", 64 << 20, int64_t{1} << 50);
    o.disk = number("disk", 1 << 20, int64_t{1} << 50);
    o.seconds = number("time", 1, 30 * 86400);
    o.processes = number("processes", 16, 1 << 20);
    o.partition = text("partition");
    o.account = text("account");
    for (const auto& [key, value] :
         {std::pair<const char*, const std::string&>{"partition", o.partition}, {"account", o.account}})
        if (value.starts_with('-')) refuse(key, "'" + value + "' begins with '-'");
    char path[PATH_MAX];
    const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
    if (n > 0) o.program.assign(path, static_cast<size_t>(n));
    const passwd* user = ::getpwuid(::geteuid());
    const std::string name = user ? user->pw_name : "";
    o.first_uid = first_id("/etc/subuid", name, ::geteuid());
    o.first_gid = first_id("/etc/subgid", name, ::geteuid());
    return o;
}

}  // namespace hub
