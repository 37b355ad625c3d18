// The plugin: the verb hub.
#include "hub/commands.hpp"

SINGULARITY_PLUGIN(hub, hub::HubCommand)
