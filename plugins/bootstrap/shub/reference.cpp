#include "reference.hpp"

#include <algorithm>
#include <singularity/json.hpp>

namespace shub {

using singularity::Code;
using singularity::Error;

namespace {

bool made_of(const std::string& text, size_t longest, const char* others) {
    const std::string_view odd(others);
    return !text.empty() && text.size() <= longest && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || odd.find(c) != std::string_view::npos;
    });
}

bool is_hex(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

HubReference parse_hub_reference(const std::string& text) {
    const auto bad = [&](const std::string& why) {
        return Error(Code::invalid, "\"" + singularity::json::printable(text) + "\" names no image of a hub: " + why,
                     "The form is shub://[REGISTRY/]USER/CONTAINER[:TAG][@DIGEST].");
    };
    HubReference out;
    std::string rest = text;
    if (const size_t at = rest.find('@'); at != std::string::npos) {
        out.digest = rest.substr(at + 1);
        rest.resize(at);
        if ((out.digest.size() != 32 && out.digest.size() != 40) || !is_hex(out.digest))
            throw bad("a digest has 32 or 40 hexadecimal digits");
    }
    const size_t slash = rest.rfind('/');
    if (slash == std::string::npos) throw bad("there is no user");
    out.container = rest.substr(slash + 1);
    rest.resize(slash);
    if (const size_t colon = out.container.find(':'); colon != std::string::npos) {
        out.tag = out.container.substr(colon + 1);
        out.container.resize(colon);
        if (!made_of(out.tag, 64, "-_.")) throw bad("the tag may have 64 letters, digits and \"-_.\"");
    }
    if (!made_of(out.container, 64, "-_.")) throw bad("the container may have 64 letters, digits and \"-_.\"");
    const size_t before = rest.rfind('/');
    out.user = before == std::string::npos ? rest : rest.substr(before + 1);
    out.registry = before == std::string::npos ? "singularity-hub.org" : rest.substr(0, before);
    if (!made_of(out.user, 39, "-")) throw bad("the user may have 39 letters, digits and \"-\"");
    if (!made_of(out.registry, 128, "-./:[]") || out.registry.front() == '/' || out.registry.find("//") != std::string::npos ||
        out.registry.find("..") != std::string::npos)
        throw bad("the registry is no host");
    if (out.tag.empty() && out.digest.empty()) out.tag = "latest";
    return out;
}

std::string HubReference::name() const {
    return user + "/" + container + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest);
}

std::string HubReference::file_name() const { return container + "_" + (tag.empty() ? digest : tag) + ".sif"; }

bool HubReference::is_local() const {
    if (registry.starts_with('[')) return registry.starts_with("[::1]");
    const std::string host = registry.substr(0, registry.find_first_of(":/"));
    return host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.");
}

}  // namespace shub
