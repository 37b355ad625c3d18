// What of the host %post and %test see besides what every build shows them: build --bind, --mount, --nv, --rocm.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "runtime/launch_options.hpp"

namespace sg {

struct HostShare {
    std::vector<runtime::Bind> binds;
    runtime::HostFiles files;
    std::vector<std::pair<std::string, std::string>> environment;

    bool any() const {
        return !binds.empty() || !files.libraries.empty() || !files.files.empty() || !files.devices.empty() ||
               !environment.empty();
    }
    void add_to(runtime::LaunchOptions& launch) const {
        launch.binds.insert(launch.binds.end(), binds.begin(), binds.end());
        launch.host_files = files;
        launch.file_environment.insert(launch.file_environment.end(), environment.begin(), environment.end());
    }
};

}  // namespace sg
