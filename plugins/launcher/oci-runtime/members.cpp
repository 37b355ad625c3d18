#include "members.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <singularity/plugin.hpp>

namespace oci_runtime {
namespace {

using singularity::Code;
using singularity::Error;
using Value = rapidjson::Value;

// "a.b" is there when it, or "a.b.SOMETHING", or "a.*" is.
bool known(std::string_view path) {
    for (const Member& m : members()) {
        if (m.path == path) return true;
        if (m.path.size() > path.size() && m.path.substr(0, path.size()) == path &&
            (m.path[path.size()] == '.' || m.path[path.size()] == '['))
            return true;
        if (m.path.size() > 2 && m.path.substr(m.path.size() - 2) == ".*" && path.size() > m.path.size() - 2 &&
            path.substr(0, m.path.size() - 1) == m.path.substr(0, m.path.size() - 1))
            return true;
    }
    return false;
}

bool is_empty(const Value& v) {
    return v.IsNull() || (v.IsArray() && v.Empty()) || (v.IsObject() && v.MemberCount() == 0) ||
           (v.IsString() && v.GetStringLength() == 0) || v.IsFalse();
}

void walk(const Value& value, const std::string& path, int depth) {
    if (depth > 32) throw Error(Code::invalid, "the LaunchSpec is not usable: '" + path + "' is nested too deeply");
    if (value.IsArray())
        for (const auto& item : value.GetArray()) walk(item, path + "[]", depth + 1);
    if (!value.IsObject()) return;
    for (const auto& m : value.GetObject()) {
        const std::string name(m.name.GetString(), m.name.GetStringLength());
        const std::string below = path.empty() ? name : path + "." + name;
        if (known(below)) {
            walk(m.value, below, depth + 1);
        } else if (!is_empty(m.value)) {
            throw Error(Code::unsupported,
                        "the launcher oci-runtime cannot carry out '" + below + "' of the LaunchSpec",
                        "the launcher native may: SINGULARITY_LAUNCHER=native");
        }
    }
}

}  // namespace

const std::vector<Member>& members() {
    constexpr std::string_view tree = "the root file system", payload = "the container's first program",
                               host = "the host";
    static const std::vector<Member> all = {
        {"launchSpecVersion", "checked"},
        {"ociVersion", "ociVersion"},
        {"process.terminal", "process.terminal, by the standard streams"},
        {"process.user.uid", "process.user.uid"},
        {"process.user.gid", "process.user.gid"},
        {"process.user.additionalGids", "process.user.additionalGids"},
        {"process.args", "container.action is used in its place"},
        {"process.env", "process.env, and the image's scripts"},
        {"process.cwd", "process.cwd"},
        {"process.noNewPrivileges", "process.noNewPrivileges"},
        {"process.apparmorProfile", "process.apparmorProfile"},
        {"process.selinuxLabel", "process.selinuxLabel"},
        {"process.capabilities.bounding", "process.capabilities"},
        {"process.capabilities.effective", "process.capabilities"},
        {"process.capabilities.inheritable", "process.capabilities"},
        {"process.capabilities.permitted", "process.capabilities"},
        {"process.capabilities.ambient", "process.capabilities"},
        {"root.path", "root.path, another one"},
        {"root.readonly", "root.readonly"},
        {"hostname", "hostname"},
        {"mounts[].destination", tree},
        {"mounts[].type", "mounts: proc, sysfs and mqueue of new namespaces, /dev; all others the root file system"},
        {"mounts[].source", tree},
        {"mounts[].options", tree},
        {"mounts[].tag", tree},
        {"mounts[].missing", tree},
        {"mounts[].content", tree},
        {"mounts[].devices", tree},
        {"mounts[].command", tree},
        {"mounts[].inContainer", payload},
        {"mounts[].daemon", tree},
        {"mounts[].terminals", tree},
        {"mounts[].sources", tree},
        {"mounts[].replaceLink", tree},
        {"mounts[].keepLink", tree},
        {"mounts[].unlessSame", tree},
        {"mounts[].directory", tree},
        {"mounts[].create", tree},
        {"mounts[].mode", tree},
        {"mounts[].image", tree},
        {"linux.namespaces[].type", "linux.namespaces"},
        {"linux.namespaces[].path", "the network namespace, which the runtime runs in"},
        {"linux.uidMappings[].containerID", "linux.uidMappings"},
        {"linux.uidMappings[].hostID", "linux.uidMappings"},
        {"linux.uidMappings[].size", "linux.uidMappings"},
        {"linux.gidMappings[].containerID", "linux.gidMappings"},
        {"linux.gidMappings[].hostID", "linux.gidMappings"},
        {"linux.gidMappings[].size", "linux.gidMappings"},
        {"linux.resources.*", "linux.resources; of an ordinary user: control groups around the runtime"},
        {"linux.seccomp.*", "linux.seccomp, without what only engines know"},
        {"linux.rootfsPropagation", "linux.rootfsPropagation"},
        {"images[].role", tree},
        {"images[].type", tree},
        {"images[].path", tree},
        {"images[].offset", tree},
        {"images[].size", tree},
        {"images[].writable", tree},
        {"images[].arch", payload},
        {"container.action.name", payload},
        {"container.action.args", payload},
        {"container.action.app", payload},
        {"container.action.shell", payload},
        {"container.environment.overrides", payload},
        {"container.environment.evaluate", payload},
        {"container.environment.timeout", payload},
        {"container.cwd.required", payload},
        {"container.cwd.fallback", payload},
        {"container.session.directories", tree},
        {"container.session.bytes", tree},
        {"container.instance.name", host},
        {"container.instance.title", payload},
        {"container.instance.out", payload},
        {"container.instance.err", payload},
        {"container.networks.names", "the network namespace, which the runtime runs in"},
        {"container.networks.args", "the same"},
        {"container.networks.configuration", "the same"},
        {"container.networks.plugins", "the same"},
        {"container.layer", tree},
        {"container.allowSetuid", tree},
        {"container.wrapper", payload},
        {"container.init", payload},
        {"container.identity.user.name", tree},
        {"container.identity.user.uid", tree},
        {"container.identity.user.gid", tree},
        {"container.identity.user.gecos", tree},
        {"container.identity.user.home", tree},
        {"container.identity.user.shell", tree},
        {"container.identity.groups[].name", tree},
        {"container.identity.groups[].gid", tree},
        {"origin.*", "messages only"},
    };
    return all;
}

void check_members(std::string_view launch_spec) {
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(launch_spec.data(), launch_spec.size());
    if (d.HasParseError() || !d.IsObject())
        throw Error(Code::invalid, "the LaunchSpec is not usable: it is no JSON object");
    walk(d, {}, 0);
}

}  // namespace oci_runtime
