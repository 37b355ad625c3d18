// The scripts of a build (scripts/*.sh), put into the object when it is built.
#pragma once
#include <string>

namespace hub {

extern const std::string job_script, inside_script, container_script;

}  // namespace hub
