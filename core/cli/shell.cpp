// singularity shell IMAGE [ARGUMENTS]
#include "cli/container_action.hpp"
#include "cli/verbs.hpp"

namespace sg {

static Action declare(CLI::App& app) {
    usage(app, "IMAGE [ARGUMENTS]");
    examples(app, {"singularity shell lolcow.sif"});
    return declare_container_action(app, "shell");
}

const Verb shell_verb{"shell", "Run containers", "Open a shell in a container", {}, false, declare};

}  // namespace sg
