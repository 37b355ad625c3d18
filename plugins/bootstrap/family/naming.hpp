// Default file names for what comes from a local source, as "lolcow_latest.sif".
#pragma once
#include <string>
#include <string_view>

namespace sources {

// `path` is the layout or archive; `name` what the image is called there: "latest" (a tag alone), "lolcow:2",
// "registry:5000/lab/lolcow:2", a digest, or "". NAME_TAG.sif with the last component of the name, or of the path
// without ".oci.tar.gz" and the like when there is no name; only letters, digits and "._-" are left in it.
std::string default_file_name(std::string_view path, std::string_view name);

}  // namespace sources
