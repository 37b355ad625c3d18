// singularity run IMAGE [ARGUMENTS]
#include "cli/container_action.hpp"
#include "cli/verbs.hpp"

namespace sg {

static Action declare(Arguments& arguments) {
    arguments.usage("IMAGE [ARGUMENTS]");
    arguments.examples({"singularity run lolcow.sif", "singularity run docker://godlovedc/lolcow"});
    return declare_container_action(arguments, "run");
}

const Verb run_verb{"run", "Run containers", "Run an image's own program (its runscript)", {}, false, declare};

}  // namespace sg
