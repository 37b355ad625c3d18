// singularity test IMAGE [ARGUMENTS]
#include "cli/container_action.hpp"
#include "cli/verbs.hpp"

namespace sg {

static Action declare(CLI::App& app) {
    usage(app, "IMAGE [ARGUMENTS]");
    examples(app, {"singularity test lolcow.sif"});
    return declare_container_action(app, "test");
}

const Verb test_verb{"test", "Run containers", "Run the test that an image brings", {}, false, declare};

}  // namespace sg
