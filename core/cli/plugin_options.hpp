// Options that plugins' manifests add to a verb.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/verb.hpp"
#include "config/index.hpp"

namespace sg {

// One that clashes with an option of the verb is left out with a warning; what several manifests declare alike
// is one option.
void add_plugin_options(Arguments& arguments, const std::vector<OptionView>& options, std::string_view group);
// All that manifests add to the verb and to those below it, which they name as they are typed ("cache list").
void add_plugin_options(Arguments& arguments, const Index& index, std::string_view group);
// Of these the ones that the chosen verb takes.
std::vector<OptionView> options_of_chosen(const Arguments& arguments, const Index& index);

// Those of `options` that were given, in the order of the command line: long name and value ("true" for a flag).
Pairs given_options(const Arguments& arguments, const std::vector<OptionView>& options);

// A command of a plugin that runs in place of the verb.
struct Takeover {
    CapabilityView command;  // of the plugin that declares the option
    std::string verb;        // "remote build"
    Pairs options;           // all that were given, the verb's own too; global ones are not among them
    std::vector<std::string> words;
};

// Nothing without a given option that takes over. Of alike options the last registered plugin's counts. Code::usage
// when two options are given that lead to different commands.
std::optional<Takeover> taken_over(const Arguments& arguments, const std::vector<OptionView>& options,
                                   const Index& index, std::string_view global_group);

}  // namespace sg
