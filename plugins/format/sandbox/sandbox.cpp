// The plugin: format "sandbox".
#include "sandbox/format.hpp"

SINGULARITY_PLUGIN(sandbox, sandbox::SandboxFormat)
