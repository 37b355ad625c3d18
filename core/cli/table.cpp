// Compiled once for each binary. SG_WITH_NAME is 1 where the verb's code is in this binary, SG_HAVE_NAME
// wherever the build has it at all (both from CMakeLists.txt, by which files exist).
#include "cli/table.hpp"

#include <algorithm>

#include "cli/verbs.hpp"

namespace sg {

const std::vector<VerbRow>& verb_table() {
    static const std::vector<VerbRow> rows = [] {
        std::vector<VerbRow> out;
        [[maybe_unused]] const auto here = [&](const Verb& v) { out.push_back({v.name, v.group, v.summary, v.aliases, v.heavy, &v}); };
        // In the executable for verbs of the module: what `help` shows without loading it.
        [[maybe_unused]] const auto there = [&](std::string_view name, std::string_view group, std::string_view summary) {
            out.push_back({name, group, summary, {}, true, nullptr});
        };
#if SG_WITH_RUN
        here(run_verb);
#endif
#if SG_WITH_EXEC
        here(exec_verb);
#endif
#if SG_WITH_SHELL
        here(shell_verb);
#endif
#if SG_WITH_TEST
        here(test_verb);
#endif
#if SG_WITH_CAPABILITY
        here(capability_verb);
#endif
#if SG_WITH_INSTANCE
        here(instance_verb);
#endif
#if SG_WITH_BUILD
        here(build_verb);
#elif SG_HAVE_BUILD
        there("build", "Make images", "Build an image from a definition file, a URI, an image or a directory");
#endif
#if SG_WITH_PULL
        here(pull_verb);
#elif SG_HAVE_PULL
        there("pull", "Make images", "Fetch an image by its URI");
#endif
#if SG_WITH_OVERLAY
        here(overlay_verb);
#elif SG_HAVE_OVERLAY
        there("overlay", "Run containers", "Make overlays, which keep what containers write");
#endif
#if SG_WITH_PUSH
        here(push_verb);
#elif SG_HAVE_PUSH
        there("push", "Make images", "Push an image file to where others can pull it");
#endif
#if SG_WITH_LINT
        here(lint_verb);
#elif SG_HAVE_LINT
        there("lint", "Make images", "Check a definition file without building it");
#endif
#if SG_WITH_INSPECT
        here(inspect_verb);
#elif SG_HAVE_INSPECT
        there("inspect", "Look at images", "Show the labels, scripts and definition of an image");
#endif
#if SG_WITH_CACHE
        here(cache_verb);
#elif SG_HAVE_CACHE
        there("cache", "Look after images", "List or clean the cache of images");
#endif
#if SG_WITH_RUN_HELP
        here(run_help_verb);
#elif SG_HAVE_RUN_HELP
        there("run-help", "Look at images", "Show the help text of an image");
#endif
#if SG_WITH_APPS
        here(apps_verb);
#elif SG_HAVE_APPS
        there("apps", "Look at images", "List the apps of an image");
#endif
#if !SG_MODULE
        here(help_verb);
        here(version_verb);
        here(plugin_verb);
        here(config_verb);
        here(buildcfg_verb);
        here(completion_verb);
#if SG_WITH_DOCTOR
        here(doctor_verb);
#endif
#endif
        return out;
    }();
    return rows;
}

const VerbRow* find_verb(std::string_view name) {
    for (const auto& row : verb_table())
        if (row.name == name || std::find(row.aliases.begin(), row.aliases.end(), name) != row.aliases.end()) return &row;
    return nullptr;
}

}  // namespace sg
