// What a verb is. One file per verb (core/cli/NAME.cpp) defines `extern const sg::Verb NAME_verb;`, which
// verbs.hpp declares and table.cpp lists. Only the chosen verb's App is built at a start.
//
//     static Action declare(CLI::App& app) {
//         auto o = std::make_shared<Options>();
//         app.add_option("--bind,-B", o->binds, "...");
//         examples(app, {"singularity exec lolcow.sif fortune"});
//         return [o](Session& session) { return run(*o, session); };
//     }
//     const Verb exec_verb{"exec", "Run containers", "Run a command in a container", {}, false, declare};
//
// An option takes one value at each use (lists add up). A verb that hands everything after its first
// positional to somebody else calls app.prefix_command() and reads app.remaining().
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/call.hpp"
#include "base/error.hpp"
#include "config/installation.hpp"
#include "config/settings.hpp"
#include "plugin/host.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace sg {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Context;

struct Session {
    const Settings& settings;
    PluginHost& plugins;
    CancelToken& cancel;    // set by SIGINT and SIGTERM in heavy verbs and fetch()
    Progress& progress;
    const Installation& installation;
    bool json = false;      // --json was given
    bool quiet = false;
    std::string format;     // a format chosen by its flag (manifest: selected_by), "" = none
    Pairs options;          // given options that plugins add to this verb, long name and value ("true" for a flag)

    const Context* context = nullptr;  // the dispatcher's; null in tests

    const Pairs& plugin_options() const { return options; }
    sg_call call() { return sg_call{cancel, &progress}; }
    // A local image file for a URI: fetched or converted once, kept in the cache (R15). Runs the
    // internal module in a child process, so that the caller stays lean and has one thread.
    std::string fetch(const std::string& uri, const Pairs& source_options);
};

using Action = std::function<int(Session&)>;  // the exit code

struct Verb {
    std::string_view name, group, summary;
    std::vector<std::string_view> aliases;
    bool heavy = false;  // lives in the internal module
    Action (*declare)(CLI::App& app) = nullptr;
};

// Example command lines, shown by --help.
void examples(CLI::App& app, std::vector<std::string> lines);
// What follows "singularity VERB [options]" in the usage line, where the App does not know it:
// "IMAGE COMMAND [ARGUMENT...]".
void usage(CLI::App& app, std::string arguments);

// The option also reads SINGULARITY_NAME and APPTAINER_NAME for each NAME of "BIND,BINDPATH", in that
// order, when it is not on the command line; `append` adds the variable's value (split at commas) to
// what the command line gave. Flags take Go's words (1 t T TRUE true True, 0 f ...).
CLI::Option* variable(CLI::Option* option, const std::string& names, bool append = false);

// The option's value becomes the configuration value `key` (layer command line; locks apply).
CLI::Option* sets_key(CLI::Option* option, const std::string& key);

}  // namespace sg
