#include "runtime/image_policy.hpp"

#include <cstdlib>
#include <memory>

#include "runtime/image_signers.hpp"

namespace sg::runtime {

namespace {

std::string real_path(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    return real ? real.get() : path;
}

std::string joined(const std::vector<std::string>& texts) {
    std::string out;
    for (const auto& t : texts) out += (out.empty() ? "" : ", ") + t;
    return out;
}

}  // namespace

ImagePolicy image_policy(PluginHost& plugins, const ImageSubject& image, const sg_call* call) {
    const Settings& settings = plugins.settings();
    const std::string& shown = image.shown.empty() ? image.path : image.shown;
    ImagePolicy out;
    if (image.has_place && policy::has_rules_on(settings, "paths")) {
        const std::string real = real_path(image.path);
        if (auto r = policy::on_path(settings, real)) out.rulings.push_back({"the image " + real, std::move(*r)});
        if (!out.rulings.empty() && !out.rulings.back().ruling.allowed) return out;
    }
    if (!image.is_fixed || !policy::has_rules_on(settings, "signers")) return out;
    try {
        out.signers = image_signers(plugins, image.path, call);
    } catch (const Error& e) {
        // Who cannot be asked has not agreed.
        if (e.code() == Code::cancelled) throw;
        const char* key =
            settings.list("policy.signers.allow").empty() ? "policy.signers.deny" : "policy.signers.allow";
        throw Error(Code::veto,
                    std::string(key) + " (" + settings.origin(key).where + ") cannot be applied to " + shown + ": " +
                        e.message(),
                    e.hint());
    }
    const std::string by = " (signed by " + (out.signers->empty() ? "nobody known here" : joined(*out.signers)) + ")";
    if (auto r = policy::on_signers(settings, *out.signers))
        out.rulings.push_back({"the image " + shown + by, std::move(*r)});
    return out;
}

ImagePolicy permit_image(PluginHost& plugins, const ImageSubject& image, const sg_call* call) {
    ImagePolicy p = image_policy(plugins, image, call);
    for (const auto& r : p.rulings) {
        if (r.ruling.allowed) continue;
        const Error e = policy::refusal(r.what, r.ruling);
        if (p.signers && p.signers->empty() && image.has_place)
            throw Error(e.code(), e.message(),
                        "'singularity verify " + image.path + "' shows its signatures. " + e.hint());
        throw e;
    }
    return p;
}

}  // namespace sg::runtime
