// FUSE programs that run in the container and serve a directory of it (--fusemount container:...).
#pragma once
#include <string>
#include <vector>

#include "family/system.hpp"

namespace launcher {

struct ContainerProgram {
    std::vector<std::string> command;
    Fd device;  // the mount's end of /dev/fuse
};

// Mounts on what `target` is open on; requests wait until the program runs. Still outside of the container's root.
ContainerProgram prepare_container_program(const std::vector<std::string>& command, int target);

// In the container's root: starts them. They get "/dev/fd/N" as mount point, which libfuse 3.3 and later knows, and end with
// this process and what it becomes.
void start_container_programs(std::vector<ContainerProgram> programs);

}  // namespace launcher
