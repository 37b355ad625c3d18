// The table "state" of singularity/state.h over PluginState.
#pragma once
#include <singularity/state.h>

#include "config/settings.hpp"

namespace sg {

// Tables carry no handle: this one serves the one command of the process. Nothing is kept where the user has no cache.
const sg_host_state_v1& state_table(const Settings& settings);

}  // namespace sg
