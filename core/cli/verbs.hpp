// Every verb of core; table.cpp lists those that are in this binary.
#pragma once
#include "cli/verb.hpp"

namespace sg {

extern const Verb version_verb, help_verb, plugin_verb, config_verb, buildcfg_verb, completion_verb;  // in the executable
extern const Verb exec_verb, run_verb, shell_verb, test_verb, capability_verb, instance_verb, doctor_verb;
extern const Verb build_verb, pull_verb, push_verb, lint_verb, inspect_verb, run_help_verb, apps_verb, cache_verb, overlay_verb;  // in the internal module

}  // namespace sg
