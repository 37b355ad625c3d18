// The CLI11 App of one verb with what we add to it: examples, usage, variables, configuration keys.
#pragma once
#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "cli/verb.hpp"

namespace sg {

class VerbApp : public CLI::App {
public:
    // `name` is what the user types, as "build" or "key list".
    VerbApp(std::string description, const std::string& name) : CLI::App(std::move(description), name) {}

    std::vector<std::string> example_lines;
    std::string usage_arguments;
};

// What variable() and sets_key() noted at an option. They write it into the option's variable name, in a
// form that no real variable has: CLI11 itself must not look anything up.
struct OptionNote {
    std::vector<std::string> variables;  // without prefix
    bool append = false;
    std::string key;  // configuration key, "" = none
};
OptionNote note_of(const CLI::Option& option);

// A given option: for messages and origins, "--compress" or the variable it came from.
struct GivenFrom {
    bool by_variable = false;
    std::string name;
};

// After parsing: takes the variables of options that were not given. Throws Code::usage.
void apply_variables(CLI::App& app);
// After that: sets the configuration keys of given options.
void apply_keys(CLI::App& app, Settings& settings);

// The option takes one value at each use, and all uses count.
CLI::Option* repeatable(CLI::Option* option);
// The same for every named list of the App; positional lists take what there is.
void one_value_each(CLI::App& app);

// The long name ("--bind"), else the short or positional one.
std::string shown_name(const CLI::Option& option);

// Adds options from manifests; one that clashes with an option of the verb is left out with a warning.
// `given` then reads them in the order of the command line.
void add_plugin_options(CLI::App& app, const std::vector<OptionView>& options, const char* group);
Pairs given_options(const CLI::App& app, const std::vector<OptionView>& options);

// The text of --help.
std::string help_text(const CLI::App& app, const std::string& name);

}  // namespace sg
