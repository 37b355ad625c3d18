// A directory of the session that shows files of the host (LaunchSpec, mount type "files").
#pragma once
#include <string>
#include <vector>

namespace launcher {

// Binds each of `sources` read-only below `path`, an empty directory, under its base name. One that is gone is left
// out with a warning.
void show_files(const std::string& path, const std::vector<std::string>& sources);

}  // namespace launcher
