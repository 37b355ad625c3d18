// Host tables "image" 1 and 2: image files and directories are opened by the formats of the subject and of the other
// plugins that are registered here.
#pragma once
#include <singularity/host.h>

namespace conformance {

extern const sg_host_image_v1 image_table1;
extern const sg_host_image_v2 image_table2;

}  // namespace conformance
