// What the site's policies say of something that was typed, before anything is done with it.
#pragma once
#include <singularity/definition.h>

#include <functional>
#include <string>
#include <vector>

#include "cli/verb.hpp"
#include "config/policy.hpp"

namespace sg {

struct Judged {
    std::string place;  // "FILE:LINE: " in a definition file, or ""
    policy::Judgement of;
    bool builds_only = false;  // it may be run all the same
};

using Definitions = std::function<const sg_host_definition_v1&()>;

// Of a reference, an image file, or each base of a definition file (`options`: build arguments, and what sources take).
// Asks no server.
std::vector<Judged> foresee(PluginHost& plugins, const Definitions& definitions, const Pairs& options,
                            const std::string& typed, const sg_call& call);

// For a build that a plugin's option takes over: throws Code::veto when `source` may not be built on.
void permit_takeover(PluginHost& plugins, const Definitions& definitions, const Pairs& options,
                     const std::string& source, const sg_call& call);

}  // namespace sg
