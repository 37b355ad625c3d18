// What the internal modules make of the context that the executable hands them (module.h).
#pragma once
#include "base/call.hpp"
#include "cli/dispatch.hpp"
#include "cli/module.h"
#include "cli/signals.hpp"
#include "cli/terminal.hpp"

namespace sg {

// Throws when program and module are of different versions.
Context context_of(const sg_module_context& c);

Pairs pairs_of(const sg_pair* pairs);

// What the configuration says of helper programs ("SERVER=HELPER").
std::vector<std::string> credential_helpers(const Context& context);

// Calls work(plugins, call) with progress on the terminal; SIGINT and SIGTERM cancel it.
template <class Work>
auto with_plugins(Context& context, Work&& work) {
    const Settings settings = settings_for(context);
    CancelToken cancel;
    PluginHost plugins(settings, context.index, context.mount, credentials_of(context, cancel));
    const CancelOnSignal signals(cancel);
    const std::unique_ptr<Progress> progress = terminal_progress();
    const sg_call call{cancel, progress.get()};
    return work(plugins, &call);
}

}  // namespace sg
