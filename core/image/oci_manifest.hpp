// An image's manifest as an OCI layout may hold it: other tools refuse Docker's types there (OCI image-spec, image-layout.md).
#pragma once
#include <string>
#include <string_view>

namespace sg {

// `manifest` with OCI's media types in place of Docker's; config and layers, and so their digests, stay. One that has
// no Docker type comes back as it is, byte for byte. Throws Code::invalid, corrupt or limit.
std::string as_oci_manifest(std::string_view manifest);

}  // namespace sg
