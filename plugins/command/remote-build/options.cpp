#include "remote-build/options.hpp"

#include <algorithm>
#include <string_view>

namespace remote_build {

namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) { return std::find(names.begin(), names.end(), name) != names.end(); }

[[noreturn]] void refuse(const std::string& name) {
    if (name == "sandbox")
        throw Error(Code::usage, "--sandbox: a remote build makes an image file", "Build the file, and then the directory from it: singularity build --sandbox DIR FILE.sif");
    if (name == "update") throw Error(Code::usage, "--update changes a directory of this machine, which a remote build does not have");
    if (name == "docker-login" || name == "authfile")
        throw Error(Code::usage, "--" + name + ": passwords and tokens of registries are not sent to a builder", "Images that need a login are built here, without --remote.");
    if (name == "json") throw Error(Code::usage, "--json: a remote build prints the builder's log, which is text");
    throw Error(Code::usage, "--" + name + " has no effect on a remote build: the builder decides", "Leave it out, or build here, without --remote.");
}

}  // namespace

std::string go_arch(const std::string& name) {
    static constexpr std::pair<const char*, const char*> names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i386", "386"}, {"i686", "386"}, {"armv7l", "arm"}};
    for (const auto& [from, to] : names)
        if (name == from) return to;
    return name;
}

Options parse_options(const singularity::Invocation& invocation, const std::string& machine) {
    Options o;
    bool remote = false;
    if (invocation.arguments.size() != 2) throw Error(Code::usage, "a remote build takes a target and a source");
    o.target = invocation.arguments[0];
    o.source = invocation.arguments[1];
    for (const auto& [name, value] : invocation.options) {
        if (name == "remote") remote = true;
        else if (name == "builder") o.builder = value;
        else if (name == "library") o.library = value;
        else if (name == "arch") o.arch = value;
        else if (name == "detached") o.detached = true;
        else if (name == "force") o.force = true;
        else if (is_one_of(name, {"build-arg", "build-arg-file", "warn-unused-build-args"})) continue;  // for the definition
        // Often they come from the environment, meant for builds here.
        else if (is_one_of(name, {"docker-username", "docker-password"})) o.left_out.push_back("--" + name);
        else refuse(name);
    }
    if (!remote) throw Error(Code::usage, "--detached is for remote builds", "Add --remote.");
    o.arch = go_arch(o.arch.empty() ? machine : o.arch);
    if (!std::all_of(o.arch.begin(), o.arch.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }))
        throw Error(Code::usage, "--arch: '" + o.arch + "' is no architecture");
    return o;
}

}  // namespace remote_build
