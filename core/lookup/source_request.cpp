#include "lookup/source_request.hpp"

#include <unistd.h>

#include <cerrno>
#include <climits>

#include "base/error.hpp"
#include "image/arch.hpp"
#include "lookup/source_uri.hpp"
#include "plugin/source_policy.hpp"

namespace sg {

namespace {

std::string present_directory() {
    char buffer[PATH_MAX];
    if (!getcwd(buffer, sizeof buffer)) throw_errno("cannot find the present directory", "");
    return buffer;
}

}  // namespace

void permit(PluginHost& plugins, const SourceRequest& request) { permit_source(plugins, SourceSpec(request).c); }

void wish_for(SourceRequest& request, const std::string& arch) {
    request.arch_is_wish = !arch.empty();
    if (arch.empty()) {
        request.arch = host_arch();
        request.variant = host_variant();
        return;
    }
    const auto wish = parse_arch(arch);
    if (!wish)
        throw Error(Code::usage, "there is no architecture '" + arch + "'",
                    "Try amd64, arm64, arm, arm/v7, 386, ppc64le, s390x or riscv64.");
    request.arch = wish->arch;
    request.variant = wish->variant;
}

SourceRequest source_request(PluginHost& plugins, const std::string& typed, const std::string& arch,
                             Pairs options) {
    if (typed.empty()) throw Error(Code::usage, "the name of the image is empty");
    const Index& index = plugins.index();
    const SourceUri uri =
        read_uri(typed, [&](std::string_view s) { return index.find(CapabilityKind::bootstrap, s).has_value(); });
    SourceRequest r;
    r.directory = present_directory();
    wish_for(r, arch);
    r.options = std::move(options);
    r.scheme = uri.scheme;
    r.reference = uri.reference;
    if (!uri.scheme.empty()) {
        if (!index.find(CapabilityKind::bootstrap, uri.scheme)) throw plugins.unknown_scheme(uri.scheme);
        permit(plugins, r);
        return r;
    }
    if (access(r.reference.c_str(), F_OK) != 0) throw system_error(errno, "cannot open", r.reference);
    for (const auto& c : index.capabilities(CapabilityKind::bootstrap))
        if (c.plain_paths) r.scheme = c.name;
    if (r.scheme.empty())
        throw Error(Code::unsupported, "no registered source reads image files from a path: " + r.reference);
    permit(plugins, r);
    return r;
}

}  // namespace sg
