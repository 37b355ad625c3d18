// A seccomp profile as OCI runtimes read it (runtime-spec, config-linux.md, "Seccomp").
#pragma once
#include <rapidjson/document.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace oci_runtime {

// From a profile that may have the engines' "archMap", "includes" and "excludes" (docs/launch-spec.md): these are
// decided for this machine and `capabilities`, the container's bounding set. Rules that say what the default action
// says already are left out. Throws Code::invalid for what is no profile.
rapidjson::Value runtime_profile(std::string_view profile, uint64_t capabilities,
                                 rapidjson::Document::AllocatorType& memory);

}  // namespace oci_runtime
