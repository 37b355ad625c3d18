// What a verb is. One file per verb (core/cli/NAME.cpp) defines `extern const sg::Verb NAME_verb;`, which
// verbs.hpp declares and table.cpp lists. Only the chosen verb's arguments are declared at a start.
//
//     static Action declare(Arguments& arguments) {
//         auto o = std::make_shared<Options>();
//         arguments.list("-B,--bind", o->binds, "...");
//         arguments.examples({"singularity exec lolcow.sif fortune"});
//         return [o](Session& session) { return run(*o, session); };
//     }
//     const Verb exec_verb{"exec", "Run containers", "Run a command in a container", {}, false, declare};
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/call.hpp"
#include "base/error.hpp"
#include "cli/arguments.hpp"
#include "config/installation.hpp"
#include "config/settings.hpp"
#include "plugin/host.hpp"

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
    std::vector<std::string> unknown_settings;  // pairs of --set whose key nobody registered: for `plugin test`

    const Pairs& plugin_options() const { return options; }
    sg_call call() { return sg_call{cancel, &progress}; }
    // A local image file for a URI: fetched or converted once, kept in the cache (R15). Runs the
    // internal module in a child process, so that the caller stays lean and has one thread.
    std::string fetch(const std::string& uri, const Pairs& source_options);
    // The directory in the cache that holds what an image file holds, for who cannot mount it. Likewise.
    std::string unpack(const std::string& image);
    // The digest of an image file, likewise.
    std::string digest(const std::string& file);
};

using Action = std::function<int(Session&)>;  // the exit code

struct Verb {
    std::string_view name, group, summary;
    std::vector<std::string_view> aliases;
    bool heavy = false;  // lives in the internal module
    Action (*declare)(Arguments& arguments) = nullptr;
};

}  // namespace sg
