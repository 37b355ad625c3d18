// singularity version

#include "cli/print.hpp"
#include "cli/verbs.hpp"

#ifndef SG_VERSION
#define SG_VERSION "4.0.0"
#endif

namespace sg {

static Action declare(Arguments& arguments) {
    arguments.examples({"singularity version"});
    return [](Session&) {
        print(SG_VERSION "\n");
        return 0;
    };
}

extern const Verb version_verb{"version", "About this installation", "Print the version", {}, false, declare};

}  // namespace sg
