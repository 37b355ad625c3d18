// What exec, run, shell and test share: their options, and starting the container.
#pragma once
#include "cli/verb.hpp"

namespace sg {

// Declares the options of runtime.md; the returned action launches IMAGE with `verb`'s meaning.
Action declare_container_action(Arguments& arguments, const char* verb);

}  // namespace sg
