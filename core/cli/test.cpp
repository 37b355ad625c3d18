// singularity test IMAGE [ARGUMENTS]
#include "cli/container_action.hpp"
#include "cli/verbs.hpp"

namespace sg {

static Action declare(Arguments& arguments) {
    arguments.usage("IMAGE [ARGUMENTS]");
    arguments.examples({"singularity test lolcow.sif"});
    return declare_container_action(arguments, "test");
}

const Verb test_verb{"test", "Run containers", "Run the test that an image brings", {}, false, declare};

}  // namespace sg
