#include "build/stage_keys.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "build/id_maps.hpp"

namespace sg {

using definition::Section;
using definition::Stage;

namespace {

bool may_keep(const StageContext& c, const RecipeBase& base) {
    if (c.options.reuse_root.empty() || c.options.share.any() || updates(c.options, c.definition, c.stage) || base.absent || runs(c.stage, c.options.sections, "setup"))
        return false;
    return !base.image || !base.image->format().directory;
}

// An image file is known by its beginning and end; whether what lies between has changed its time tells.
std::string identity_of_base(const RecipeBase& base) {
    std::string out = base.identity + "\n" + base.arch + "\n";
    if (base.image && !base.is_new && !base.spool) {
        struct stat st {};
        stat(base.image->path().c_str(), &st);
        out += std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec) + " " +
               std::to_string(st.st_ino);
    }
    return out;
}

void add_common(StageInputs& inputs, const StageContext& c, const RecipeBase& base,
                const std::optional<Section>& post) {
    inputs.add("the base", identity_of_base(base));
    inputs.add("the version of this program", c.options.convert.version);
    inputs.add("the user", std::to_string(geteuid()));
    if (c.options.emulate_stat && !is_machine_root()) inputs.add("build.emulate_stat", "");
    if (post) {
        std::string script;
        for (const auto& word : script_command(c.definition.source, *post, "script")) script += word + '\0';
        inputs.add("%post", script + post->body());
    }
    c.files.add_to(inputs, c.stage);
    for (const auto& [name, value] : c.stage.arguments) inputs.note("build argument " + name, value);
}

}  // namespace

bool runs(const Stage& stage, const ChosenSections& chosen, const char* name) {
    const Section* section = chosen.has(name) ? stage.section(name) : nullptr;
    return section && !section->blank();
}

std::string stage_name(const definition::Definition& definition, const Stage& stage) {
    if (definition.stages.size() == 1) return {};
    return stage.name.empty() ? "stage " + std::to_string(&stage - definition.stages.data() + 1)
                              : "stage '" + stage.name + "'";
}

std::string origin_of(const StageContext& c) {
    const std::string& file = c.definition.source.name;
    const std::string which =
        c.stage.name.empty() ? std::to_string(&c.stage - c.definition.stages.data()) : c.stage.name;
    std::string out = (file.starts_with('/') ? file : c.options.directory + "/" + file) + " " + which;
    for (char& ch : out)
        if (ch == '\n') ch = '?';
    return out;
}

std::optional<StageInputs> inputs_of_changes(const StageContext& c, const RecipeBase& base,
                                             const std::optional<Section>& post) {
    if (!may_keep(c, base) || (!post && !base.recipe)) return std::nullopt;
    StageInputs inputs;
    add_common(inputs, c, base, post);
    return inputs;
}

std::optional<StageInputs> inputs_of_stage(const StageContext& c, const RecipeBase& base,
                                           const std::optional<Section>& post) {
    if (!may_keep(c, base)) return std::nullopt;
    StageInputs inputs;
    add_common(inputs, c, base, post);
    const auto add = [&](const Section& section, const std::string& app) {
        const bool own = app.empty();
        if (section.name == "post" || section.name == "files" || section.name == "appfiles" || section.name == "pre" ||
            section.name == "arguments")
            return;
        if (own && (!c.options.sections.has(section.name) || (section.name == "test" && !c.options.run_tests))) return;
        inputs.add("%" + section.name + (own ? "" : " " + app), section.arguments + "\n" + section.body());
    };
    for (const Section& section : c.stage.sections) add(section, "");
    for (const definition::App& app : c.stage.apps)
        for (const Section& section : app.sections) add(section, app.name);
    inputs.add("IncludeCmd", c.stage.value("includecmd"));
    const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
    inputs.add("SOURCE_DATE_EPOCH", epoch ? epoch : "");
    inputs.add("the options", c.options.convert.compress + (c.options.fix_permissions ? " fix" : "") +
                                  (c.options.force && !c.stage.labels.empty() ? " force" : ""));
    return inputs;
}

}  // namespace sg
