#include "family/platform.hpp"

#include <algorithm>

namespace sources {
namespace {

// Most capable first; a machine runs what is made for its own variant and for those after it.
std::vector<std::string> ladder(const std::string& architecture) {
    if (architecture == "arm") return {"v8", "v7", "v6", "v5"};
    if (architecture == "arm64") return {"v8"};
    if (architecture == "amd64") return {"v4", "v3", "v2", "v1"};
    return {};
}

}  // namespace

std::vector<std::string> variants_that_serve(const Wanted& wanted) {
    const auto steps = ladder(wanted.architecture);
    if (wanted.variant.empty()) {
        std::vector<std::string> out{""};
        // Level v1 is every amd64 machine; higher ones are for those who ask.
        if (wanted.architecture == "amd64")
            out.push_back("v1");
        else
            out.insert(out.end(), steps.begin(), steps.end());
        return out;
    }
    std::vector<std::string> out{wanted.variant};
    const auto at = std::find(steps.begin(), steps.end(), wanted.variant);
    if (at != steps.end()) out.insert(out.end(), at + 1, steps.end());
    out.push_back("");
    return out;
}

std::vector<const Descriptor*> entries_for(std::span<const Descriptor> entries, const Wanted& wanted) {
    std::vector<const Descriptor*> out;
    for (const std::string& variant : variants_that_serve(wanted))
        for (const Descriptor& d : entries)
            if (d.platform && !d.is_attestation() && *d.platform == Platform{"linux", wanted.architecture, variant})
                out.push_back(&d);
    if (!out.empty()) return out;
    const Descriptor* only = nullptr;
    size_t count = 0;
    for (const Descriptor& d : entries) {
        if (d.is_attestation() || (d.platform && !(d.platform->os.empty() && d.platform->architecture.empty())))
            continue;
        only = &d;
        ++count;
    }
    if (count == 1) out.push_back(only);
    return out;
}

std::string list_platforms(std::span<const Descriptor> entries) {
    std::vector<std::string> seen;
    std::string out;
    for (const Descriptor& d : entries) {
        if (d.is_attestation() || !d.platform) continue;
        std::string text = d.platform->text();
        if (std::find(seen.begin(), seen.end(), text) != seen.end()) continue;
        if (seen.size() == 24) return out + ", ...";
        out += (out.empty() ? "" : ", ") + text;
        seen.push_back(std::move(text));
    }
    return out;
}

std::string check_platform(const Platform& image, const Wanted& wanted, const std::string& where) {
    if (!image.os.empty() && image.os != "linux")
        throw Error(Code::unsupported, where + " is an image for " + Platform{image.os, image.architecture, {}}.text() +
                                           ": only Linux images can be run");
    if (image.architecture.empty() || image.architecture == wanted.architecture) return {};
    const std::string has = Platform{"linux", image.architecture, image.variant}.text();
    if (wanted.is_wish)
        throw Error(Code::not_found, where + ": the image's architecture (" + has + ") is not the one asked for (" +
                                         wanted.text() + ")");
    return where + ": the image's architecture (" + has + ") is not this machine's (" + wanted.text() +
           "): its programs may not run here";
}

}  // namespace sources
