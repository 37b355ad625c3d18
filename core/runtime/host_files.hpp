// What of the host is shown in a container for devices (GPUs), beside what the options bind.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace sg::runtime {

struct HostFile {
    std::string source, destination;
    bool directory = false, read_only = true;
};

struct HostFiles {
    std::vector<std::string> libraries;  // shown in /.singularity.d/libs, by their base names
    std::vector<HostFile> files;
    std::vector<std::string> devices;    // below /dev: for containers with a /dev of their own
    std::vector<std::pair<std::string, std::string>> environment;
    std::vector<std::string> warnings;
};

}  // namespace sg::runtime
