#include "cli/instance_join.hpp"

#include <rapidjson/document.h>
#include <singularity/launcher.h>

#include "base/log.hpp"
#include "cli/instance_access.hpp"
#include "cli/print.hpp"
#include "cli/spec_text.hpp"
#include "runtime/launch_spec.hpp"

namespace sg {

namespace {

constexpr std::string_view prefix = "instance://";

struct Identity {
    std::string home;   // in the container; "" when it is not known
    bool root = false;  // its user is root there
};

// From the LaunchSpec that the container was started with.
Identity identity_of(const runtime::Instance& instance) {
    rapidjson::Document d;
    d.Parse(instance.config.data(), instance.config.size());
    if (d.HasParseError()) return {};
    const rapidjson::Value* at = &d;
    for (const char* name : {"container", "identity", "user"}) {
        if (!at->IsObject() || !at->HasMember(name)) return {};
        at = &(*at)[name];
    }
    Identity out;
    if (!at->IsObject()) return out;
    if (at->HasMember("home") && (*at)["home"].IsString()) out.home = (*at)["home"].GetString();
    out.root = at->HasMember("uid") && (*at)["uid"].IsUint() && (*at)["uid"].GetUint() == 0;
    return out;
}

}  // namespace

bool names_instance(const std::string& image) { return image.starts_with(prefix); }

int join_instance(runtime::LaunchOptions options, const std::string& image, bool dry_run, bool as_text, Session& session) {
    const std::string name = image.substr(prefix.size());
    runtime::Instances::check_name(name);
    auto instance = instances_of().find(name, launchers_of(session));
    if (!instance) throw Error(Code::not_found, "no instance found with the name " + name, "'singularity instance list' shows those that run");
    if (instance->launcher.empty())
        throw Error(Code::unsupported, "the instance " + name + " was started by another program", "join it with the program that started it");
    // The container has its mounts and namespaces; only the process is new.
    options.binds.clear();
    options.overlays.clear();
    options.scratch.clear();
    options.network_namespace.clear();
    options.networks.clear();
    options.network_arguments.clear();
    options.no_mount.clear();
    options.writable = options.writable_tmpfs = options.pid = options.net = false;
    options.hostname.clear();
    options.workdir.clear();
    options.user_namespace = instance->user_namespace;
    options.instance = runtime::InstanceFacts{name, {}, {}, {}};
    const runtime::Machine machine = runtime::this_machine(session.installation.prefix, session.installation.plugin_dir, session.installation.conf_dir);
    const Identity identity = identity_of(*instance);
    options.no_home = true;
    options.fakeroot = identity.root && machine.user.uid != 0;
    if (!identity.home.empty() && session.settings.boolean("bind.user")) options.home = machine.user.home + ":" + identity.home;
    runtime::ImageFacts facts;
    facts.path = instance->image;
    facts.plan.type[0] = '\0';
    const runtime::LaunchSpec spec = runtime::make_launch_spec(options, session.settings, facts, machine, dry_run);
    if (dry_run) {
        print(as_text ? spec_text(spec.json) : spec.json + "\n");
        return 0;
    }
    const sg_launcher_v1& launcher = session.plugins.launcher(instance->launcher);
    const sg_launch_image none{nullptr, nullptr};
    const sg_call call = session.call();
    const sg_launch what{spec.json.c_str(), &none, 1, &call};
    singularity::check([&](sg_error* e) { return launcher.join(&what, instance->directory.c_str(), e); });
    throw Error(Code::internal, "the launcher returned without an error");
}

}  // namespace sg
