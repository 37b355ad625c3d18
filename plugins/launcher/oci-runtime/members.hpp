// Which members a LaunchSpec may have here. What this launcher would not carry out it refuses by name, so that nothing
// that was asked for is dropped silently (docs/launch-spec.md).
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace oci_runtime {

// A member that is carried out: its path ("mounts[].tag"), and where it goes. A path that ends in ".*" stands for
// everything below.
struct Member {
    std::string_view path;
    std::string_view becomes;
};
const std::vector<Member>& members();

// Throws Code::unsupported naming the first member that stands in none of the paths above, Code::invalid for what is no
// JSON object.
void check_members(std::string_view launch_spec);

}  // namespace oci_runtime
