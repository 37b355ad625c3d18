#include "plugin/source_policy.hpp"

#include <singularity/policy.h>

namespace sg {

std::string full_name(PluginHost& plugins, const sg_source_spec& spec) {
    const auto source = plugins.index().find(CapabilityKind::bootstrap, spec.scheme);
    if (!source || !source->remote) return {};
    const auto* table = static_cast<const sg_full_name_v1*>(plugins.find_table(*source, "full_name", 1));
    if (!table) {
        // What stands in front of an '@' or behind a '?' may be secret.
        std::string text = spec.reference;
        text.resize(std::min(text.find_first_of("?#"), text.size()));
        if (const size_t at = text.substr(0, text.find('/')).rfind('@'); at != std::string::npos) text.erase(0, at + 1);
        return text;
    }
    char name[4096] = "";
    singularity::check([&](sg_error* e) { return table->full_name(&spec, name, sizeof name, e); });
    return name;
}

std::vector<policy::Judgement> judge_source(PluginHost& plugins, const sg_source_spec& spec) {
    const Settings& settings = plugins.settings();
    std::vector<policy::Judgement> out;
    if (auto r = policy::on_source(settings, spec.scheme))
        out.push_back({"the source '" + std::string(spec.scheme) + "'", std::move(*r)});
    if (!out.empty() && !out.back().ruling.allowed) return out;
    // Only now: it loads the source.
    if (!policy::has_rules_on(settings, "registries")) return out;
    const std::string name = full_name(plugins, spec);
    if (name.empty()) return out;
    if (auto r = policy::on_registry(settings, name)) out.push_back({"the repository " + name, std::move(*r)});
    return out;
}

void permit_source(PluginHost& plugins, const sg_source_spec& spec) {
    for (const auto& r : judge_source(plugins, spec))
        if (!r.ruling.allowed) throw policy::refusal(r.what, r.ruling);
}

}  // namespace sg
