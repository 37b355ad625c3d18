// Definition files for plugins: table "definition" 1 of singularity/definition.h.
#pragma once
#include <singularity/definition.h>

#include "config/index.hpp"

namespace sg {

// `index` tells which sources and keywords there are; it is kept, and the last one that was handed in counts.
const sg_host_definition_v1& definition_table(const Index& index);

}  // namespace sg
