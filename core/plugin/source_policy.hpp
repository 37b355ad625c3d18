// What a site's policies say about a source and what is asked of it (config/policy.hpp).
#pragma once
#include <singularity/bootstrap.h>

#include <optional>
#include <string>
#include <vector>

#include "config/policy.hpp"
#include "plugin/host.hpp"

namespace sg {

// "HOST[:PORT]/NAMESPACE/NAME" as the source fills it in (policy.h, "full_name"), else what follows the scheme. "" for
// sources that go over no network. Asks no server.
std::string full_name(PluginHost& plugins, const sg_source_spec& spec);

// What was asked about and what decided; a subject that no rule speaks of is left out.
struct SourceRuling {
    std::string what;  // "the source 'shub'", "the repository docker.io/library/alpine"
    policy::Ruling ruling;
};
std::vector<SourceRuling> source_rulings(PluginHost& plugins, const sg_source_spec& spec);

// Throws Code::veto when the policies forbid it.
void permit_source(PluginHost& plugins, const sg_source_spec& spec);

}  // namespace sg
