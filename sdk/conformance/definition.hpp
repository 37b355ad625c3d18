// The kit's host table "definition" 1: definition files as plain as samples are.
#pragma once
#include <singularity/definition.h>

namespace conformance {

// Header keys and %files are understood; placeholders stay as they are.
extern const sg_host_definition_v1 definition_table;

}  // namespace conformance
