#include "family/spec.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "family/capability_names.hpp"
#include "family/resources.hpp"
#include "family/system.hpp"

namespace launcher {
namespace {

using Value = rapidjson::Value;

[[noreturn]] void wrong(const std::string& what) { throw Error(Code::invalid, "the LaunchSpec is not usable: " + what); }

const Value* member(const Value& object, const char* name) {
    if (!object.IsObject()) wrong(std::string("no object around '") + name + "'");
    const auto it = object.FindMember(name);
    return it == object.MemberEnd() || it->value.IsNull() ? nullptr : &it->value;
}

std::string to_text(const Value& v, const char* name) {
    if (!v.IsString()) wrong(std::string("'") + name + "' is no text");
    std::string out(v.GetString(), v.GetStringLength());
    if (out.find('\0') != std::string::npos) wrong(std::string("'") + name + "' holds a NUL byte");
    return out;
}

std::string text(const Value& object, const char* name, std::string otherwise = {}) {
    const Value* v = member(object, name);
    return v ? to_text(*v, name) : std::move(otherwise);
}

bool flag(const Value& object, const char* name, bool otherwise = false) {
    const Value* v = member(object, name);
    if (!v) return otherwise;
    if (!v->IsBool()) wrong(std::string("'") + name + "' is neither true nor false");
    return v->GetBool();
}

uint64_t number(const Value& object, const char* name, uint64_t otherwise = 0) {
    const Value* v = member(object, name);
    if (!v) return otherwise;
    if (!v->IsUint64()) wrong(std::string("'") + name + "' is no natural number");
    return v->GetUint64();
}

uint32_t id(const Value& object, const char* name) {
    const uint64_t v = number(object, name);
    if (v > UINT32_MAX) wrong(std::string("'") + name + "' is too large");
    return static_cast<uint32_t>(v);
}

template <class F>
void each(const Value& object, const char* name, F&& f) {
    const Value* v = member(object, name);
    if (!v) return;
    if (!v->IsArray()) wrong(std::string("'") + name + "' is no list");
    for (const auto& item : v->GetArray()) f(item);
}

std::vector<std::string> texts(const Value& object, const char* name) {
    std::vector<std::string> out;
    each(object, name, [&](const Value& v) { out.push_back(to_text(v, name)); });
    return out;
}

Missing missing(const Value& object, const char* name) {
    const std::string word = text(object, name, "fail");
    if (word == "fail") return Missing::fail;
    if (word == "warn") return Missing::warn;
    if (word == "skip") return Missing::skip;
    wrong("'" + word + "' for '" + name + "'");
}

Mount read_mount(const Value& v) {
    Mount m;
    m.destination = text(v, "destination");
    if (m.destination.empty() || m.destination[0] != '/') wrong("mount destination '" + m.destination + "' is not absolute");
    m.destination = clean_path(m.destination);
    m.type = text(v, "type");
    m.source = text(v, "source");
    m.content = text(v, "content");
    m.tag = text(v, "tag", "mount");
    m.devices = texts(v, "devices");
    m.sources = texts(v, "sources");
    m.replace_link = flag(v, "replaceLink");
    m.keep_link = flag(v, "keepLink");
    m.unless_same = flag(v, "unlessSame");
    m.directory = flag(v, "directory", true);
    m.create = flag(v, "create", true);
    m.mode = id(v, "mode");
    m.image = id(v, "image");
    m.command = texts(v, "command");
    m.in_container = flag(v, "inContainer");
    m.daemon = flag(v, "daemon");
    m.terminals = flag(v, "terminals", true);
    if ((m.type == "fuse") == m.command.empty()) wrong("the mount on " + m.destination + " has no command, or one too many");
    if (m.mode == 0) m.mode = 0755;
    m.missing = missing(v, "missing");
    each(v, "options", [&](const Value& o) {
        const std::string word = to_text(o, "options");
        if (word == "bind" || word == "rw") return;
        if (word == "rbind") m.recursive = true;
        else if (word == "ro") m.read_only = true;
        else if (word == "nosuid") m.no_suid = true;
        else if (word == "nodev") m.no_dev = true;
        else if (word == "noexec") m.no_exec = true;
        else wrong("mount option '" + word + "' of " + m.destination);
    });
    return m;
}

std::vector<Mapping> mappings(const Value& linux_part, const char* name) {
    std::vector<Mapping> out;
    each(linux_part, name, [&](const Value& v) { out.push_back({id(v, "containerID"), id(v, "hostID"), id(v, "size")}); });
    return out;
}

void read_namespaces(const Value& linux_part, Spec& spec) {
    each(linux_part, "namespaces", [&](const Value& v) {
        const std::string type = text(v, "type");
        if (type == "mount") return;
        if (type == "user") spec.user = true;
        else if (type == "pid") spec.pid = true;
        else if (type == "ipc") spec.ipc = true;
        else if (type == "uts") spec.uts = true;
        else if (type == "network") spec.net = true, spec.network_path = text(v, "path");
        else wrong("namespace '" + type + "'");
    });
    spec.uids = mappings(linux_part, "uidMappings");
    spec.gids = mappings(linux_part, "gidMappings");
    if (const Value* profile = member(linux_part, "seccomp")) {
        rapidjson::StringBuffer buffer;
        rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
        profile->Accept(w);
        spec.seccomp.assign(buffer.GetString(), buffer.GetSize());
    }
    if (const Value* resources = member(linux_part, "resources")) spec.resources = read_resources(*resources);
    spec.propagation = text(linux_part, "rootfsPropagation", "rslave");
}

void read_container(const Value& c, Spec& spec) {
    if (const Value* action = member(c, "action")) {
        spec.action = text(*action, "name");
        spec.arguments = texts(*action, "args");
        spec.app = text(*action, "app");
        spec.shell = text(*action, "shell");
    }
    if (const Value* env = member(c, "environment")) {
        each(*env, "overrides", [&](const Value& v) {
            if (!v.IsArray() || v.Size() != 2) wrong("an environment override is no pair");
            spec.overrides.emplace_back(to_text(v[0], "overrides"), to_text(v[1], "overrides"));
        });
        spec.evaluate = flag(*env, "evaluate", true);
        spec.timeout = id(*env, "timeout");
    }
    if (const Value* cwd = member(c, "cwd")) {
        spec.cwd_required = flag(*cwd, "required");
        spec.cwd_fallback = texts(*cwd, "fallback");
    }
    if (const Value* session = member(c, "session")) {
        spec.session_places = texts(*session, "directories");
        spec.session_bytes = number(*session, "bytes", spec.session_bytes);
    }
    if (const Value* instance = member(c, "instance"))
        spec.instance = {text(*instance, "title"), text(*instance, "out"), text(*instance, "err")};
    if (const Value* networks = member(c, "networks"))
        spec.networks = {texts(*networks, "names"), texts(*networks, "args"), text(*networks, "configuration"), texts(*networks, "plugins")};
    if (!spec.networks.names.empty() && (!spec.net || !spec.network_path.empty())) wrong("networks without a new network namespace");
    spec.layer = text(c, "layer", "auto");
    spec.init = flag(c, "init", true);
    spec.allow_setuid = flag(c, "allowSetuid");
    spec.wrapper = texts(c, "wrapper");
    if (const Value* identity = member(c, "identity")) {
        if (const Value* user = member(*identity, "user"))
            spec.user_entry = {text(*user, "name"), text(*user, "gecos"), text(*user, "home"), text(*user, "shell"),
                               id(*user, "uid"),    id(*user, "gid"),     true};
        each(*identity, "groups", [&](const Value& v) { spec.groups.push_back({text(v, "name"), id(v, "gid")}); });
    }
}

}  // namespace

Spec parse_spec(std::string_view json) {
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (d.HasParseError() || !d.IsObject()) wrong("it is no JSON object");
    const std::string version = text(d, "launchSpecVersion");
    if (version != "1.0") wrong("version '" + version + "', this launcher knows 1.0");
    Spec spec;
    if (const Value* process = member(d, "process")) {
        spec.environment = texts(*process, "env");
        spec.cwd = text(*process, "cwd", "/");
        spec.no_new_privileges = flag(*process, "noNewPrivileges");
        if (const Value* caps = member(*process, "capabilities")) {
            spec.set_capabilities = true;
            // One set for all: what the program may do, and keep doing after its own exec.
            for (const auto& name : texts(*caps, "permitted")) {
                const uint64_t bit = capability_bit(name);
                if (!bit) wrong("capability '" + name + "'");
                spec.capabilities |= bit;
            }
        }
        if (const Value* user = member(*process, "user")) {
            spec.process_uid = id(*user, "uid");
            spec.process_gid = id(*user, "gid");
            each(*user, "additionalGids", [&](const Value& v) {
                if (!v.IsUint()) wrong("a group is no number");
                spec.process_groups.push_back(v.GetUint());
            });
            spec.change_user = spec.process_uid != ::geteuid() || spec.process_gid != ::getegid();
        }
        spec.apparmor = text(*process, "apparmorProfile");
        spec.selinux = text(*process, "selinuxLabel");
    }
    if (const Value* root = member(d, "root")) spec.read_only = flag(*root, "readonly", true);
    spec.hostname = text(d, "hostname");
    each(d, "mounts", [&](const Value& v) { spec.mounts.push_back(read_mount(v)); });
    if (const Value* l = member(d, "linux")) read_namespaces(*l, spec);
    each(d, "images", [&](const Value& v) {
        Image image;
        const std::string role = text(v, "role", "root");
        if (role == "root") image.role = Role::root;
        else if (role == "overlay") image.role = Role::overlay;
        else if (role == "data") image.role = Role::data;
        else wrong("an image with the role '" + role + "'");
        if ((image.role == Role::root) != spec.images.empty()) wrong("it needs exactly one root, as the first image");
        image.type = text(v, "type");
        image.path = text(v, "path");
        image.offset = number(v, "offset");
        image.size = number(v, "size");
        image.writable = flag(v, "writable");
        image.arch = text(v, "arch");
        spec.images.push_back(std::move(image));
    });
    if (spec.images.empty()) wrong("it has no image");
    for (const auto& m : spec.mounts)
        if (m.type == "image" && (m.image == 0 || m.image >= spec.images.size() || spec.images[m.image].role != Role::data))
            wrong("the mount on " + m.destination + " names no data image");
    if (const Value* c = member(d, "container")) read_container(*c, spec);
    if (spec.timeout == 0) spec.timeout = 60;
    return spec;
}

}  // namespace launcher
