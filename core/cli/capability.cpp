// singularity capability add|drop|list|avail: what users may ask for with --add-caps (capability.json)
#include "runtime/capabilities.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <memory>

#include "cli/print.hpp"
#include "cli/verb.hpp"

namespace sg {

namespace {

using runtime::CapabilityFile;
using runtime::CapabilitySet;

struct Options {
    std::string user, group, names;
};

std::string file_path(const Session& session) { return session.installation.conf_dir + "/capability.json"; }

std::pair<CapabilityFile::Kind, std::string> subject(const Options& o) {
    if (o.user.empty() == o.group.empty()) throw Error(Code::usage, "name a user or a group", "the form is: singularity capability add --user NAME CAP_NET_RAW");
    if (!o.user.empty()) {
        if (!::getpwnam(o.user.c_str())) throw Error(Code::not_found, "there is no user " + o.user + " on this machine");
        return {CapabilityFile::Kind::user, o.user};
    }
    if (!::getgrnam(o.group.c_str())) throw Error(Code::not_found, "there is no group " + o.group + " on this machine");
    return {CapabilityFile::Kind::group, o.group};
}

int change(const Options& o, Session& session, bool add) {
    const CapabilitySet named = runtime::parse_capabilities(o.names);
    if (!named) throw Error(Code::usage, "name the capabilities", "'singularity capability avail' lists them");
    const auto [kind, name] = subject(o);
    if (::geteuid() != 0) throw Error(Code::permission, "only root may change " + file_path(session));
    CapabilityFile file(file_path(session));
    file.load();
    const CapabilitySet before = file.of(kind, name);
    if (!add && !(before & named)) throw Error(Code::not_found, name + " has none of these capabilities", "'singularity capability list' shows what there is");
    file.set(kind, name, add ? before | named : before & ~named);
    file.save();
    return 0;
}

int list(const std::string& wanted, Session& session) {
    CapabilityFile file(file_path(session));
    file.load();
    std::string out;
    for (const auto& e : file.entries()) {
        if (!wanted.empty() && e.name != wanted) continue;
        std::string names;
        for (const auto& c : runtime::capability_names(e.capabilities)) names += (names.empty() ? "" : ",") + c;
        out += e.name + (e.kind == CapabilityFile::Kind::user ? " [user]: " : " [group]: ") + names + "\n";
    }
    print(out);
    return 0;
}

int available(const std::string& wanted) {
    const CapabilitySet set = wanted.empty() ? runtime::all_capabilities() : runtime::parse_capabilities(wanted);
    std::string out;
    for (const auto& name : runtime::capability_names(set)) out += name + ": " + std::string(runtime::describe_capability(name)) + "\n";
    print(out);
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    for (const auto& [name, summary] : {std::pair{"add", "Give capabilities to a user or a group"}, {"drop", "Take capabilities from a user or a group"}}) {
        Arguments& a = arguments.command(name, summary);
        a.word("CAPABILITIES", o->names, "Names divided by commas, as CAP_NET_RAW, or all").required();
        a.text("-u,--user", o->user, "Of this user").shown_as("NAME");
        a.text("-g,--group", o->group, "Of this group").shown_as("NAME");
    }
    arguments.command("list", "Show who has what").word("NAME", o->names, "A user or a group");
    arguments.command("avail", "Say what the capabilities mean").word("CAPABILITY", o->names, "One of them");
    arguments.examples({"singularity capability add --user ann CAP_NET_RAW", "singularity capability list", "singularity exec --add-caps CAP_NET_RAW image.sif ping host"});
    return [o, &arguments](Session& session) {
        const std::string name = arguments.chosen().name();
        const std::string verb = name.substr(name.rfind(' ') + 1);
        if (verb == "list") return list(o->names, session);
        if (verb == "avail") return available(o->names);
        return change(*o, session, verb == "add");
    };
}

}  // namespace

extern const Verb capability_verb;
const Verb capability_verb{"capability", "About this installation", "Manage the Linux capabilities that users may have in containers", {}, false, declare};

}  // namespace sg
