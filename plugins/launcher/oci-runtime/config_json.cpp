#include "config_json.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "family/capability_names.hpp"
#include "family/environment.hpp"
#include "family/namespaces.hpp"
#include "seccomp_profile.hpp"

namespace oci_runtime {
namespace {

using launcher::Spec;
using Value = rapidjson::Value;
using Memory = rapidjson::Document::AllocatorType;

Value text(const std::string& s, Memory& m) { return Value(s.data(), static_cast<rapidjson::SizeType>(s.size()), m); }

Value texts(const std::vector<std::string>& all, Memory& m) {
    Value out(rapidjson::kArrayType);
    for (const auto& s : all) out.PushBack(text(s, m), m);
    return out;
}

Value capability_sets(const Bundle& bundle, Memory& m) {
    Value out(rapidjson::kObjectType);
    for (const char* set : {"bounding", "effective", "inheritable", "permitted", "ambient"}) {
        Value names(rapidjson::kArrayType);
        const bool empty = bundle.bounding_only && std::string_view(set) != "bounding";
        for (unsigned n = 0; n < 64 && !empty; ++n)
            if (const std::string name = launcher::capability_name(n); bundle.capabilities >> n & 1 && !name.empty())
                names.PushBack(text(name, m), m);
        out.AddMember(rapidjson::StringRef(set), names, m);
    }
    return out;
}

Value process(const Spec& spec, const Bundle& bundle, Memory& m) {
    Value out(rapidjson::kObjectType);
    out.AddMember("terminal", bundle.terminal, m);
    Value user(rapidjson::kObjectType);
    user.AddMember("uid", bundle.uid, m);
    user.AddMember("gid", bundle.gid, m);
    user.AddMember("umask", bundle.umask, m);
    if (!bundle.groups.empty()) {
        Value groups(rapidjson::kArrayType);
        for (const uint32_t gid : bundle.groups) groups.PushBack(gid, m);
        user.AddMember("additionalGids", groups, m);
    }
    out.AddMember("user", user, m);
    out.AddMember("args", texts(bundle.args, m), m);
    // Runtimes refuse what no shell could hold.
    std::vector<std::string> env;
    for (const auto& [name, value] : launcher::split_environment(spec.environment)) env.push_back(name + "=" + value);
    out.AddMember("env", texts(env, m), m);
    out.AddMember("cwd", text(bundle.cwd, m), m);
    out.AddMember("noNewPrivileges", spec.no_new_privileges, m);
    out.AddMember("capabilities", capability_sets(bundle, m), m);
    if (!spec.apparmor.empty()) out.AddMember("apparmorProfile", text(spec.apparmor, m), m);
    if (!spec.selinux.empty()) out.AddMember("selinuxLabel", text(spec.selinux, m), m);
    return out;
}

Value mappings(const std::vector<launcher::Mapping>& all, Memory& m) {
    Value out(rapidjson::kArrayType);
    for (const auto& one : all) {
        Value v(rapidjson::kObjectType);
        v.AddMember("containerID", one.container, m);
        v.AddMember("hostID", one.host, m);
        v.AddMember("size", one.size, m);
        out.PushBack(v, m);
    }
    return out;
}

// As they are, without the empty ones, which ask for nothing.
Value resources(std::string_view launch_spec, Memory& m) {
    Value out(rapidjson::kObjectType), devices(rapidjson::kArrayType), all(rapidjson::kObjectType);
    all.AddMember("allow", true, m);
    all.AddMember("access", "rwm", m);
    devices.PushBack(all, m);
    rapidjson::Document d(&m);
    d.Parse<rapidjson::kParseIterativeFlag>(launch_spec.data(), launch_spec.size());
    const Value* asked = nullptr;
    if (!d.HasParseError() && d.IsObject() && d.HasMember("linux") && d["linux"].IsObject() &&
        d["linux"].HasMember("resources") && d["linux"]["resources"].IsObject())
        asked = &d["linux"]["resources"];
    if (asked)
        for (const auto& member : asked->GetObject()) {
            if (member.value.IsObject() && member.value.MemberCount() == 0) continue;
            if (member.name == "devices" && member.value.IsArray())
                for (const auto& rule : member.value.GetArray()) devices.PushBack(Value(rule, m), m);
            else
                out.AddMember(Value(member.name, m), Value(member.value, m), m);
        }
    out.AddMember("devices", devices, m);
    return out;
}

Value linux_part(const Spec& spec, const Bundle& bundle, std::string_view launch_spec, Memory& m) {
    Value out(rapidjson::kObjectType);
    Value namespaces(rapidjson::kArrayType);
    const auto add = [&](const char* type) {
        Value v(rapidjson::kObjectType);
        v.AddMember("type", rapidjson::StringRef(type), m);
        namespaces.PushBack(v, m);
    };
    add("mount");
    if (bundle.new_user_namespace) add("user");
    if (spec.pid) add("pid");
    if (spec.ipc) add("ipc");
    if (spec.uts) add("uts");
    if (launcher::wants_new_network(spec)) add("network");  // else it is the monitor's
    out.AddMember("namespaces", namespaces, m);
    if (bundle.new_user_namespace) {
        out.AddMember("uidMappings", mappings(bundle.uids, m), m);
        out.AddMember("gidMappings", mappings(bundle.gids, m), m);
    }
    out.AddMember("rootfsPropagation", text(spec.propagation, m), m);
    if (!spec.seccomp.empty()) out.AddMember("seccomp", runtime_profile(spec.seccomp, bundle.capabilities, m), m);
    if (bundle.cgroup.empty()) return out;
    out.AddMember("cgroupsPath", text(bundle.cgroup, m), m);
    out.AddMember("resources", resources(launch_spec, m), m);
    return out;
}

std::string written(const Value& v) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    v.Accept(w);
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace

std::string config_json(const Spec& spec, const Bundle& bundle, std::string_view launch_spec) {
    rapidjson::Document d(rapidjson::kObjectType);
    Memory& m = d.GetAllocator();
    d.AddMember("ociVersion", "1.0.2", m);
    d.AddMember("process", process(spec, bundle, m), m);
    Value root(rapidjson::kObjectType);
    root.AddMember("path", text(bundle.root, m), m);
    root.AddMember("readonly", bundle.read_only, m);
    d.AddMember("root", root, m);
    if (!spec.hostname.empty()) d.AddMember("hostname", text(spec.hostname, m), m);
    Value mounts(rapidjson::kArrayType);
    for (const auto& one : bundle.mounts) {
        Value v(rapidjson::kObjectType);
        v.AddMember("destination", text(one.destination, m), m);
        v.AddMember("type", text(one.type, m), m);
        v.AddMember("source", text(one.source, m), m);
        v.AddMember("options", texts(one.options, m), m);
        mounts.PushBack(v, m);
    }
    d.AddMember("mounts", mounts, m);
    d.AddMember("linux", linux_part(spec, bundle, launch_spec, m), m);
    if (bundle.keep_groups) {
        Value annotations(rapidjson::kObjectType);
        annotations.AddMember("run.oci.keep_original_groups", "1", m);
        d.AddMember("annotations", annotations, m);
    }
    return written(d);
}

std::string process_json(const Spec& spec, const Bundle& bundle) {
    rapidjson::Document d(rapidjson::kObjectType);
    return written(process(spec, bundle, d.GetAllocator()));
}

}  // namespace oci_runtime
