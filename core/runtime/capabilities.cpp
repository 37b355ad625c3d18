#include "runtime/capabilities.hpp"

#include <fcntl.h>
#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/error.hpp"
#include "base/nearest.hpp"
#include "base/unique_fd.hpp"

namespace sg::runtime {
namespace {

struct Name {
    std::string_view name, meaning;
};
// By number, as in linux/capability.h of 6.1.
constexpr Name names[] = {
    {"CAP_CHOWN", "change owners of files"},
    {"CAP_DAC_OVERRIDE", "read, write and execute files whatever their mode"},
    {"CAP_DAC_READ_SEARCH", "read files and search directories whatever their mode"},
    {"CAP_FOWNER", "do with files what their owner may"},
    {"CAP_FSETID", "keep set-user-id bits when files change"},
    {"CAP_KILL", "send signals to any process"},
    {"CAP_SETGID", "become any group"},
    {"CAP_SETUID", "become any user"},
    {"CAP_SETPCAP", "change capability sets"},
    {"CAP_LINUX_IMMUTABLE", "set the append-only and immutable flags"},
    {"CAP_NET_BIND_SERVICE", "listen on ports below 1024"},
    {"CAP_NET_BROADCAST", "send broadcasts"},
    {"CAP_NET_ADMIN", "configure networks"},
    {"CAP_NET_RAW", "use raw sockets"},
    {"CAP_IPC_LOCK", "lock memory"},
    {"CAP_IPC_OWNER", "use any System V IPC object"},
    {"CAP_SYS_MODULE", "load kernel modules"},
    {"CAP_SYS_RAWIO", "use I/O ports and raw devices"},
    {"CAP_SYS_CHROOT", "use chroot"},
    {"CAP_SYS_PTRACE", "trace any process"},
    {"CAP_SYS_PACCT", "switch process accounting"},
    {"CAP_SYS_ADMIN", "administer the system: mounts, namespaces and much else"},
    {"CAP_SYS_BOOT", "reboot"},
    {"CAP_SYS_NICE", "raise priorities"},
    {"CAP_SYS_RESOURCE", "exceed limits"},
    {"CAP_SYS_TIME", "set the clock"},
    {"CAP_SYS_TTY_CONFIG", "configure terminals"},
    {"CAP_MKNOD", "make device nodes"},
    {"CAP_LEASE", "set leases on files"},
    {"CAP_AUDIT_WRITE", "write to the audit log"},
    {"CAP_AUDIT_CONTROL", "configure auditing"},
    {"CAP_SETFCAP", "give capabilities to files"},
    {"CAP_MAC_OVERRIDE", "override mandatory access control"},
    {"CAP_MAC_ADMIN", "configure mandatory access control"},
    {"CAP_SYSLOG", "read the kernel's log"},
    {"CAP_WAKE_ALARM", "wake the machine"},
    {"CAP_BLOCK_SUSPEND", "keep the machine awake"},
    {"CAP_AUDIT_READ", "read the audit log"},
    {"CAP_PERFMON", "watch performance"},
    {"CAP_BPF", "load BPF programs"},
    {"CAP_CHECKPOINT_RESTORE", "checkpoint and restore processes"},
};

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

CapabilitySet one(const std::string& word) {
    std::string name = upper(word);
    if (name == "ALL" || name == "CAP_ALL") return all_capabilities();
    if (name.compare(0, 4, "CAP_") != 0) name = "CAP_" + name;
    for (size_t i = 0; i < std::size(names); ++i)
        if (names[i].name == name) return CapabilitySet{1} << i;
    // Without the prefix, which would make any two of them alike.
    std::vector<std::string_view> known;
    for (const auto& n : names) known.push_back(n.name.substr(4));
    const std::string like = nearest(std::string_view(name).substr(4), known);
    throw Error(Code::usage, "unknown capability '" + word + "'", like.empty() ? "singularity capability avail lists them" : "Did you mean 'CAP_" + like + "'?");
}

}  // namespace

CapabilitySet all_capabilities() { return (CapabilitySet{1} << std::size(names)) - 1; }

CapabilitySet parse_capabilities(std::string_view text) {
    CapabilitySet out = 0;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        std::string word(text.substr(at, end - at));
        word.erase(std::remove(word.begin(), word.end(), ' '), word.end());
        if (!word.empty()) out |= one(word);
        at = end + 1;
    }
    return out;
}

std::vector<std::string> capability_names(CapabilitySet set) {
    std::vector<std::string> out;
    for (size_t i = 0; i < std::size(names); ++i)
        if (set >> i & 1) out.emplace_back(names[i].name);
    return out;
}

std::string_view describe_capability(std::string_view name) {
    for (const auto& n : names)
        if (n.name == name) return n.meaning;
    return {};
}

void CapabilityFile::load() {
    entries_.clear();
    const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) return;
        throw_errno("cannot open", path_);
    }
    std::string text;
    char buffer[8192];
    ssize_t n;
    while ((n = ::read(fd.get(), buffer, sizeof buffer)) > 0 && text.size() < (1u << 20)) text.append(buffer, static_cast<size_t>(n));
    if (n < 0) throw_errno("cannot read", path_);
    if (text.empty()) return;
    rapidjson::Document d;
    d.Parse(text.data(), text.size());
    if (d.HasParseError() || !d.IsObject()) throw Error(Code::invalid, path_ + ": no JSON object", "its form is {\"users\": {\"NAME\": [\"CAP_X\"]}, \"groups\": {}}");
    for (const auto& [key, kind] : {std::pair{"users", Kind::user}, {"groups", Kind::group}}) {
        const auto it = d.FindMember(key);
        if (it == d.MemberEnd() || it->value.IsNull()) continue;
        if (!it->value.IsObject()) throw Error(Code::invalid, path_ + ": '" + key + "' is no object");
        for (const auto& m : it->value.GetObject()) {
            if (!m.value.IsArray()) throw Error(Code::invalid, path_ + ": '" + m.name.GetString() + "' is no list");
            CapabilitySet set = 0;
            for (const auto& c : m.value.GetArray()) {
                if (!c.IsString()) throw Error(Code::invalid, path_ + ": a capability of '" + m.name.GetString() + "' is no text");
                set |= one(c.GetString());
            }
            entries_.push_back({kind, m.name.GetString(), set});
        }
    }
}

void CapabilityFile::save() const {
    rapidjson::StringBuffer buffer;
    rapidjson::PrettyWriter<rapidjson::StringBuffer> w(buffer);
    w.StartObject();
    for (const auto& [key, kind] : {std::pair{"users", Kind::user}, {"groups", Kind::group}}) {
        w.Key(key);
        w.StartObject();
        for (const auto& e : entries_) {
            if (e.kind != kind) continue;
            w.Key(e.name);
            w.StartArray();
            for (const auto& c : capability_names(e.capabilities)) w.String(c);
            w.EndArray();
        }
        w.EndObject();
    }
    w.EndObject();
    const std::string text = std::string(buffer.GetString(), buffer.GetSize()) + "\n";
    const std::string temporary = path_ + ".tmp" + std::to_string(::getpid());
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd) throw_errno("cannot write", path_);
    (void)::fchmod(fd.get(), 0644);
    const bool written = ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd.get()) == 0;
    if (!written || ::rename(temporary.c_str(), path_.c_str()) != 0) {
        const int reason = errno;
        (void)::unlink(temporary.c_str());
        throw system_error(reason, "cannot write", path_);
    }
}

CapabilitySet CapabilityFile::of(Kind kind, const std::string& name) const {
    for (const auto& e : entries_)
        if (e.kind == kind && e.name == name) return e.capabilities;
    return 0;
}

void CapabilityFile::set(Kind kind, const std::string& name, CapabilitySet capabilities) {
    entries_.erase(std::remove_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.kind == kind && e.name == name; }), entries_.end());
    if (capabilities) entries_.push_back({kind, name, capabilities});
}

CapabilitySet CapabilityFile::allowed(const User& user) const {
    CapabilitySet out = of(Kind::user, user.name);
    for (const auto& g : user.groups) out |= of(Kind::group, g.name);
    return out;
}

}  // namespace sg::runtime
