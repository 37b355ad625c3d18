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

// Up to the first that forbids. An unknown scheme has no repository.
std::vector<policy::Judgement> judge_source(PluginHost& plugins, const sg_source_spec& spec);

// Throws Code::veto when the policies forbid it.
void permit_source(PluginHost& plugins, const sg_source_spec& spec);

}  // namespace sg
