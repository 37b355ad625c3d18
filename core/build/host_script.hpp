// `%pre`: a script that runs on the host, as the user who builds.
#pragma once
#include <string>

#include "definition/definition.hpp"

struct sg_call;

namespace sg {

// Writes it to `file`, runs it in `directory` and waits; ends it with the build when that is cancelled. Throws with the
// place when it fails.
void run_host_script(const definition::Text& text, const definition::Section& section, const std::string& file,
                     const std::string& directory, const sg_call* call);

}  // namespace sg
