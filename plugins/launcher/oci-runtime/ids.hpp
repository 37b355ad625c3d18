// Who the container's process is, for the runtime and for the kernel.
//
// Kernel fact: who mounts in a user namespace must be root of it, and runtimes insist on number 0. So an ordinary
// user's runtime runs in a namespace where the caller is 0. Where the container's process is to have another number, a
// second namespace below maps that number to this 0. crun makes it; runc refuses one without a 0 of its own, and the
// container's first program makes it.
#pragma once
#include <vector>

#include "image_config.hpp"
#include "family/spec.hpp"

namespace oci_runtime {

struct Ids {
    std::vector<launcher::Mapping> outer_uids, outer_gids;  // of the namespace that the runtime runs in; with spec.user
    std::vector<launcher::Mapping> inner_uids, inner_gids;  // of the one below; empty: there is none
    bool inner_by_program = false;                        // the first program makes it
    uint32_t uid = 0, gid = 0;                            // of the process, as the runtime is to set them
    std::vector<uint32_t> groups;
};

// `user`: of the image's USER, when that applies.
Ids choose_ids(const launcher::Spec& spec, const ImageUser* user, bool crun);

// The image's USER applies when nobody asked for other ids than the caller's (--fakeroot, --security uid) and root not for a
// user namespace.
bool user_applies(const launcher::Spec& spec, uint32_t caller);

}  // namespace oci_runtime
