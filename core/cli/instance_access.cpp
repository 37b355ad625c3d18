#include "cli/instance_access.hpp"

#include <pwd.h>
#include <rapidjson/document.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.hpp"
#include "config/home.hpp"
#include "runtime/user.hpp"

namespace sg {

using runtime::Instance;
using runtime::Instances;

Instances instances_of(const std::string& user) {
    const runtime::User self = runtime::current_user();
    if (!user.empty() && user != self.name) {
        if (::geteuid() != 0) throw Error(Code::permission, "only root may look at instances of other users");
        const passwd* entry = ::getpwnam(user.c_str());
        if (!entry || !entry->pw_dir || *entry->pw_dir != '/') throw Error(Code::not_found, "no user '" + user + "' with a home directory");
        return {entry->pw_dir, user};
    }
    // After "sudo -E" the home is somebody else's, who is to find nothing of ours in it.
    const Home home = Home::find();
    const std::string path = home.trusted ? home.path : self.home;
    if (path.empty() || path == "/" || !Home::at(path).trusted)
        throw Error(Code::not_found, "there is no home directory to keep instances in" + (path.empty() ? "" : ": " + path + " is not yours"),
                    "set HOME to a directory of your own");
    return {path, self.name};
}

std::string launcher_name(Session& session) {
    const std::string name = session.settings.text("launcher");
    if (!name.empty()) return name;
    const auto all = session.plugins.index().capabilities(CapabilityKind::launcher);
    if (all.empty()) throw Error(Code::not_found, "no launcher is registered: nothing can run a container", "'singularity plugin list' shows what is registered");
    return std::string(all.front().name);
}

bool instance_runs(Session& session, Instance& instance) {
    if (instance.launcher.empty()) return true;  // another program's: its file was read because it lives
    const sg_launcher_v1& launcher = session.plugins.launcher(instance.launcher);
    std::string text(65536, '\0');
    singularity::check([&](sg_error* e) { return launcher.state(instance.directory.c_str(), text.data(), text.size(), e); });
    rapidjson::Document d;
    d.Parse(text.c_str());
    if (d.HasParseError() || !d.IsObject() || !d.HasMember("status") || !d["status"].IsString())
        throw Error(Code::internal, "the launcher " + instance.launcher + " gives no state of " + instance.name);
    if (d.HasMember("pid") && d["pid"].IsInt()) instance.pid = d["pid"].GetInt();
    if (d.HasMember("annotations") && d["annotations"].IsObject())
        if (const auto ip = d["annotations"].FindMember("singularity.ip"); ip != d["annotations"].MemberEnd() && ip->value.IsString()) instance.ip = ip->value.GetString();
    return std::string_view(d["status"].GetString()) != "stopped";
}

Instances::Launchers launchers_of(Session& session) {
    return {[&session](const Instance& instance) {
                Instance copy = instance;
                return instance_runs(session, copy);
            },
            [&session](const Instance& instance) {
                if (instance.launcher.empty()) return;
                try {
                    const sg_launcher_v1& launcher = session.plugins.launcher(instance.launcher);
                    singularity::check([&](sg_error* e) { return launcher.remove(instance.directory.c_str(), e); });
                } catch (const Error& e) {
                    log::debug(e.message());  // its files go all the same
                }
            }};
}

void signal_instance(Session& session, const Instance& instance, int number) {
    if (instance.launcher.empty()) {
        if (::kill(instance.pid, number) != 0 && errno != ESRCH) throw_errno("cannot send a signal to the instance", instance.name);
        return;
    }
    const sg_launcher_v1& launcher = session.plugins.launcher(instance.launcher);
    try {
        singularity::check([&](sg_error* e) { return launcher.signal(instance.directory.c_str(), number, e); });
    } catch (const Error& e) {
        if (e.code() != Code::not_found) throw;
    }
}

std::vector<Instance> need_instances(Session& session, const Instances& all, const std::string& pattern) {
    auto found = all.list(pattern, launchers_of(session));
    if (found.empty()) throw Error(Code::not_found, pattern.empty() || pattern == "*" ? "no instance found" : "no instance found with the name " + pattern, "'singularity instance list' shows those that run");
    return found;
}

}  // namespace sg
