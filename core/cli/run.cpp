// singularity run IMAGE [ARGUMENTS]
#include "cli/container_action.hpp"
#include "cli/verbs.hpp"

namespace sg {

static Action declare(CLI::App& app) {
    usage(app, "IMAGE [ARGUMENTS]");
    examples(app, {"singularity run lolcow.sif", "singularity run docker://godlovedc/lolcow"});
    return declare_container_action(app, "run");
}

const Verb run_verb{"run", "Run containers", "Run an image's own program (its runscript)", {}, false, declare};

}  // namespace sg
