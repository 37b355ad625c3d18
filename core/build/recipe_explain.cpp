#include "build/changes_cache.hpp"
#include "build/recipe.hpp"
#include "build/recipe_base.hpp"
#include "build/stage_files.hpp"
#include "build/stage_keys.hpp"
#include "build/stage_results.hpp"
#include "build/target.hpp"

namespace sg {

using definition::Definition;
using definition::Stage;

namespace {

class Explanation {
public:
    Explanation(PluginHost& plugins, const Definition& definition, const std::string& target, const FormatEntry& format,
                const RecipeOptions& options, const sg_call* call)
        : plugins_(plugins),
          definition_(definition),
          target_(target),
          format_(format),
          options_(options),
          call_(call),
          files_(definition, options_.sections, options_.directory, call) {}

    std::string run() {
        for (const Stage& stage : definition_.stages) explain(stage);
        return std::move(out_);
    }

private:
    bool updates(const Stage& stage) const { return sg::updates(options_, definition_, stage); }
    bool runs(const Stage& stage, const char* name) const { return sg::runs(stage, options_.sections, name); }

    void line(const std::string& what, const std::string& how) {
        out_ += "    " + what + std::string(what.size() < 10 ? 10 - what.size() : 1, ' ') + how + "\n";
    }

    void explain(const Stage& stage) {
        const bool last = &stage == &definition_.last();
        if (const std::string name = stage_name(definition_, stage); !name.empty()) out_ += name + "\n";
        if (!last && stage.name.empty())
            return line("", "is not made: it has no name, so no stage takes anything from it");
        const StageContext context{definition_, stage, options_, files_};
        const auto post = post_script(stage, options_.sections);
        const bool setup = runs(stage, "setup");
        RecipeBase base;
        if (!updates(stage)) {
            BaseWish wish{options_.directory, options_.arch, options_.convert.temporary, options_.source_options,
                          post || setup || brings_metadata(stage, options_.sections)};
            wish.at_hand = true;
            base = open_base(plugins_, definition_.source, stage, wish, call_);
        }
        if (runs(stage, "pre")) line("%pre", "runs: it does so in each build");
        const std::string missing = files_.missing(stage);
        if (!last && missing.empty()) {
            if (const auto inputs = inputs_of_stage(context, base, post)) {
                const StageResults kept(options_.reuse_root, origin_of(context), options_.reuse_days);
                if (const auto found = kept.find(stage_result, *inputs)) {
                    line("all of it", "is reused, from " + shown_age(found->age) + " ago");
                    return files_.finished(stage.name, plugins_.open_image(found->path));
                }
                line("all of it", "is made again: " + kept.why_not(stage_result, *inputs));
            }
        }
        line("base", shown_base(stage, base));
        if (setup) line("%setup", "runs: what it reads of this machine nobody knows");
        if (post || base.recipe) line(post ? "%post" : "packages", shown_changes(context, base, post, setup, missing));
        if (runs(stage, "test") && options_.run_tests) line("%test", "runs, in the finished image");
        if (last) line(shown_name(format_), "is written to " + target_);
    }

    std::string shown_base(const Stage& stage, const RecipeBase& base) const {
        if (updates(stage)) return target_ + " as it is";
        const std::string what =
            stage.value("bootstrap") + (stage.value("from").empty() ? "" : ":" + stage.value("from"));
        if (base.absent) return what + ", which has to be fetched or converted first";
        if (base.recipe) return what + ", made by a program of this machine together with what %post does";
        if (base.empty) return "nothing";
        if (base.layers) return what + ", whose layers are merged into the image";
        return what + ", whose stored files are used as they are";
    }

    std::string shown_changes(const StageContext& context, const RecipeBase& base,
                              const std::optional<definition::Section>& post, bool setup,
                              const std::string& missing) const {
        if (setup) return "runs, as %setup does";
        if (options_.share.any()) return "runs: what it reads of this machine by --bind or for devices nobody knows";
        if (updates(context.stage)) return "runs: --update always runs it";
        if (base.absent) return "runs, if this base is another one than that of the last build";
        if (!missing.empty()) return "runs, unless the files of stage '" + missing + "' turn out the same";
        const StageResults kept(options_.reuse_root, origin_of(context), options_.reuse_days);
        const auto inputs = inputs_of_changes(context, base, post);
        if (!inputs)
            return options_.reuse_root.empty()
                       ? "runs: nothing is reused (--no-cache, a cache that is off, or build.reuse_days)"
                       : "runs: whether a directory has changed nobody knows";
        if (const auto found = kept.find(ChangesCache::name, *inputs))
            return "is reused, from " + shown_age(found->age) + " ago";
        return "runs: " + kept.why_not(ChangesCache::name, *inputs);
    }

    PluginHost& plugins_;
    const Definition& definition_;
    const std::string& target_;
    const FormatEntry& format_;
    const RecipeOptions options_;
    const sg_call* call_;
    StageFiles files_;
    std::string out_;
};

}  // namespace

std::string explain_definition(PluginHost& plugins, const Definition& definition, const std::string& target,
                               const FormatEntry& format, const RecipeOptions& options, const sg_call* call) {
    return Explanation(plugins, definition, target, format, options, call).run();
}

}  // namespace sg
