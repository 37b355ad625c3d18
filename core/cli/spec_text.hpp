// A LaunchSpec for people: what `exec --dry-run --format text` prints.
#pragma once
#include <string>

namespace sg {

// `json` is a LaunchSpec as make_launch_spec() writes it.
std::string spec_text(const std::string& json);

}  // namespace sg
