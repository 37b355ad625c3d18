// From a command line to a verb and its exit code; the same code in the executable and its module.
//
// Failures print one line `FATAL:   MESSAGE` and, when there is a hint, a second line below it, indented
// to the message; exit code 1 for a wrong command line, 255 for the rest.
#pragma once
#include <singularity/definition.h>
#include <singularity/host.h>
#include <singularity/state.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/verb.hpp"
#include "config/home.hpp"
#include "config/index.hpp"
#include "config/installation.hpp"

namespace sg {

// Options that stand before the verb, or after it where the verb has no such option of its own.
struct GlobalOptions {
    bool quiet = false, silent = false, verbose = false, debug = false, plain = false, json = false;
    std::vector<std::string> settings;  // "KEY=VALUE" of --set
    void apply() const;                 // to the log
};

// What a running verb stands on.
struct Context {
    Installation installation;
    Index index;
    const sg_host_mount_v2* mount = nullptr;
    GlobalOptions global;
    bool module = false;          // this is the internal module
    std::vector<Error> problems;  // of the configuration files, for the verb that tells of them
};

// Where plugins of a command get credentials from, for a PluginHost: the room is in the internal module, which the
// executable loads at the first question. `cancel` must outlive the host. Each binary has its own.
std::function<const sg_host_credentials_v2&()> credentials_of(const Context& context, const CancelToken& cancel);
// The same for the reading of definition files. `context` must outlive the host.
std::function<const sg_host_definition_v1&()> definitions_of(const Context& context);
// And for what plugins find again in a later process; null: this build keeps nothing. Both must outlive the host.
std::function<const sg_host_state_v1*()> state_of(const Context& context, const Settings& settings);

// Parses `arguments` (after the verb's name) and runs it. Throws Error.
int dispatch_verb(const Verb& verb, std::vector<std::string> arguments, Context& context);

// A verb of a plugin that can be typed: hidden ones are not among them.
std::optional<CapabilityView> find_command(const Index& index, std::string_view verb);
// All that users may type.
std::vector<CapabilityView> shown_commands(const Index& index);

// A verb that a plugin provides. Throws Error.
int run_command(const CapabilityView& command, std::vector<std::string> arguments, Context& context);

// The configuration in effect, with the environment and --set. `forgiving`: wrong values are warnings.
// `unknown`: takes the pairs of --set with a key that nobody registered, instead of Code::usage.
Settings settings_for(const Context& context, bool forgiving = false, std::vector<std::string>* unknown = nullptr);
// One "KEY=VALUE" of --set. Throws Code::usage.
void set_from_command_line(Settings& settings, const std::string& pair);

// Prints the failure and gives the exit code.
int report(const Error& error);

// `error` with what the site says below each (site.hint, site.documentation). A wrong command line and an interruption
// stay as they are.
Error with_site_words(const Error& error, const Context& context);

}  // namespace sg
