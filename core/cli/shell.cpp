// singularity shell IMAGE [ARGUMENTS]
#include "cli/container_action.hpp"
#include "cli/verbs.hpp"

namespace sg {

static Action declare(Arguments& arguments) {
    arguments.usage("IMAGE [ARGUMENTS]");
    arguments.examples({"singularity shell lolcow.sif"});
    return declare_container_action(arguments, "shell");
}

const Verb shell_verb{"shell", "Run containers", "Open a shell in a container", {}, false, declare};

}  // namespace sg
