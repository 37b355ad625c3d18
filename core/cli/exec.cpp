// singularity exec IMAGE COMMAND [ARGUMENTS]
#include "cli/container_action.hpp"
#include "cli/verbs.hpp"

namespace sg {

static Action declare(Arguments& arguments) {
    arguments.usage("IMAGE COMMAND [ARGUMENTS]");
    arguments.examples({"singularity exec lolcow.sif fortune", "singularity exec --bind /data:/mnt:ro image.sif ls /mnt"});
    return declare_container_action(arguments, "exec");
}

const Verb exec_verb{"exec", "Run containers", "Run a command in a container", {}, false, declare};

}  // namespace sg
