// What exec, run, shell and test share: their options, and starting the container.
#pragma once
#include <memory>

#include "cli/verb.hpp"

namespace sg {

class InstanceStart;

// Declares the options of starts (docs/user/options.md); the returned action launches IMAGE with `verb`'s meaning. With `instance` the
// container gets a name (the word behind IMAGE) and stays.
Action declare_container_action(Arguments& arguments, const char* verb, std::shared_ptr<InstanceStart> instance = nullptr);

}  // namespace sg
