// Between a descriptor and the SDK's view of a part (format.h, sg_part): types by word, members of `extra` as
// attributes by name.
#pragma once
#include <singularity/format.hpp>

#include "sif/container.hpp"

namespace sif {

singularity::PartInfo to_part(const Descriptor& d);

// Attributes of `part` that its type needs must be there and known (Code::invalid says which is not):
//   partition: fs, part, arch · signature: hash, entity (40 hex digits or absent) · message: format, message ·
//   sbom: format · oci-index, oci-blob: digest
ObjectSpec to_object(const singularity::PartInfo& part);

}  // namespace sif
