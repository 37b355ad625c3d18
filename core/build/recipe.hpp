// `singularity build TARGET FILE.def`: the stages of a definition, one after the other, and the image of the last one.
#pragma once
#include <string>
#include <vector>

#include "build/convert.hpp"
#include "build/host_share.hpp"
#include "build/recipe_sections.hpp"
#include "definition/definition.hpp"
#include "plugin/host.hpp"

namespace sg {

struct RecipeOptions {
    ConvertOptions convert;
    std::string directory;  // where the user stands
    std::string arch;       // --arch, "" = the machine's
    Pairs source_options;   // options of plugins on the command line
    HostShare share;        // with any, %post is always run: nobody knows what it reads there
    ChosenSections sections;
    bool force = false;            // %labels replace what is there
    bool fix_permissions = false;  // --fix-perms
    bool run_tests = true;         // not with --notest
    bool keep_on_failure = false;  // what %post made until it failed is kept as a directory
    bool emulate_stat = false;     // of ordinary users: stat tells scripts what is recorded
    bool update = false;           // the base of the last stage is the directory `target`
    std::string reuse_root;        // the cache in which results of stages are kept; "" = none
    int64_t reuse_days = 7;        // older ones are not used
    std::string prefix, plugin_directory;  // of the installation
};

// Whether `stage` is made in the directory that is there: the last one; the others have bases of their own.
inline bool updates(const RecipeOptions& options, const definition::Definition& definition, const definition::Stage& stage) {
    return options.update && &stage == &definition.last();
}

// What build_definition would do, and why: what it would reuse, what it would run and which input changed. Nothing is made,
// fetched or run. Text for people.
std::string explain_definition(PluginHost& plugins, const definition::Definition& definition, const std::string& target,
                               const FormatEntry& format, const RecipeOptions& options, const sg_call* call);

// Nothing is visible at `target` before it is whole. Throws, besides what sources and formats throw, errors that name the
// line of the definition.
void build_definition(PluginHost& plugins, const definition::Definition& definition, const std::string& target,
                      const FormatEntry& format, const RecipeOptions& options, const sg_call* call);

}  // namespace sg
