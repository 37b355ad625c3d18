// What is decided about a start before anything is made.
#pragma once
#include <singularity/launcher.h>

#include <string>
#include <vector>

#include "image_config.hpp"
#include "runtime.hpp"
#include "family/spec.hpp"

namespace oci_runtime {

struct Plan {
    std::string document;  // the LaunchSpec
    launcher::Spec spec;     // what it says
    ImageConfig image;
    bool user_of_image = false;  // its USER applies
    Runtime runtime;
    std::string id;
    bool terminal = false;
    bool limits = false;         // the runtime carries out linux.resources
    std::string first_program;   // of this machine
    std::string first_place;     // where the container has it
    std::vector<int> inherited;  // the caller's descriptors from 3 on; -1: a gap
};

// Members, runtime, first program: all but the image's configuration, the terminal and the limits. Throws Error.
Plan plan_launch(const sg_launch& launch);

// The directories of the control groups of a process that were made for the container `id`.
std::vector<std::string> group_directories(pid_t pid, const std::string& id);

}  // namespace oci_runtime
