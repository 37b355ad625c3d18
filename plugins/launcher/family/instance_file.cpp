#include "family/instance_file.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdio>

namespace launcher {
namespace {

std::string file_in(const std::string& directory) { return directory + "/native.json"; }

std::string boot_id() {
    std::string text = read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

unsigned long long own_pid_namespace() {
    struct stat s;
    if (::stat("/proc/self/ns/pid", &s) != 0) fail("cannot look at", "/proc/self/ns/pid");
    return s.st_ino;
}

// State and start time of a process (proc(5), "stat": fields 3 and 22); false when there is none.
bool look_at(pid_t pid, char& state, unsigned long long& start) {
    std::string text;
    try {
        text = read_file(AT_FDCWD, "/proc/" + std::to_string(pid) + "/stat", 8192);
    } catch (const Error&) {
        return false;
    }
    const size_t end = text.rfind(')');  // the name before it may hold anything
    return end != std::string::npos &&
           std::sscanf(text.c_str() + end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state,
                       &start) == 2;
}

[[noreturn]] void damaged(const std::string& path) { throw Error(Code::corrupt, path + " is damaged", "'singularity instance list' takes it away"); }

}  // namespace

Identity identity_of(pid_t pid) {
    Identity out;
    char state = 0;
    out.pid = pid;
    out.boot = boot_id();
    out.pid_namespace = own_pid_namespace();
    if (!look_at(pid, state, out.start) || state == 'Z' || state == 'X') throw Error(Code::not_found, "the process " + std::to_string(pid) + " has ended");
    return out;
}

Life life_of(const Identity& who) {
    if (who.boot != boot_id()) return Life::dead;
    if (who.pid_namespace != own_pid_namespace()) return Life::elsewhere;
    char state = 0;
    unsigned long long start = 0;
    return look_at(who.pid, state, start) && start == who.start && state != 'Z' && state != 'X' ? Life::running : Life::dead;
}

void write_identity(const std::string& directory, const Identity& who) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    w.StartObject();
    w.Key("pid"), w.Int(who.pid);
    w.Key("start"), w.Uint64(who.start);
    w.Key("boot"), w.String(who.boot);
    w.Key("pidNamespace"), w.Uint64(who.pid_namespace);
    w.Key("ownProcesses"), w.Bool(who.own_processes);
    w.Key("limited"), w.Bool(who.limited);
    w.Key("groups");
    w.StartArray();
    for (const auto& g : who.groups) w.String(g);
    w.EndArray();
    if (!who.network.empty()) w.Key("network"), w.String(who.network);
    if (!who.address.empty()) w.Key("address"), w.String(who.address);
    w.EndObject();
    replace_file(file_in(directory), {buffer.GetString(), buffer.GetSize()}, 0644);
}

Identity read_identity(const std::string& directory) {
    const std::string path = file_in(directory);
    const std::string text = read_file(AT_FDCWD, path, 65536);
    rapidjson::Document d;
    d.Parse(text.data(), text.size());
    if (d.HasParseError() || !d.IsObject()) damaged(path);
    for (const char* name : {"pid", "start", "pidNamespace"})
        if (!d.HasMember(name) || !d[name].IsUint64()) damaged(path);
    if (!d["pid"].IsInt() || d["pid"].GetInt() < 1 || !d.HasMember("boot") || !d["boot"].IsString()) damaged(path);
    Identity out;
    out.pid = d["pid"].GetInt();
    out.start = d["start"].GetUint64();
    out.boot = d["boot"].GetString();
    out.pid_namespace = d["pidNamespace"].GetUint64();
    out.own_processes = !d.HasMember("ownProcesses") || !d["ownProcesses"].IsBool() || d["ownProcesses"].GetBool();
    out.limited = d.HasMember("limited") && d["limited"].IsBool() && d["limited"].GetBool();
    if (d.HasMember("groups") && d["groups"].IsArray())
        for (const auto& g : d["groups"].GetArray())
            if (g.IsString()) out.groups.emplace_back(g.GetString());
    for (const auto& [name, to] : {std::pair{"network", &out.network}, {"address", &out.address}})
        if (d.HasMember(name) && d[name].IsString()) *to = d[name].GetString();
    return out;
}

void remove_identity(const std::string& directory) {
    if (::unlink(file_in(directory).c_str()) != 0 && errno != ENOENT) fail("cannot remove", file_in(directory));
    (void)::unlink((file_in(directory) + ".part").c_str());
}

Identity need_running(const std::string& directory) {
    Identity who;
    try {
        who = read_identity(directory);
    } catch (const Error& e) {
        if (e.code() != Code::not_found) throw;
        throw Error(Code::not_found, "no instance '" + name_of(directory) + "' is running");
    }
    switch (life_of(who)) {
        case Life::running: return who;
        case Life::elsewhere:
            throw Error(Code::unsupported, "the instance '" + name_of(directory) + "' was started in another PID namespace",
                        "it can be reached from where it was started");
        case Life::dead: break;
    }
    throw Error(Code::not_found, "no instance '" + name_of(directory) + "' is running: its process " + std::to_string(who.pid) + " has ended");
}

std::string name_of(const std::string& directory) { return directory.substr(directory.rfind('/') + 1); }

}  // namespace launcher
