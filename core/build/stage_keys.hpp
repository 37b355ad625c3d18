// Which results of a stage may be kept, and what each was made of.
#pragma once
#include <optional>
#include <string>

#include "build/recipe.hpp"
#include "build/recipe_base.hpp"
#include "build/stage_files.hpp"
#include "build/stage_inputs.hpp"
#include "definition/definition.hpp"

namespace sg {

inline constexpr const char* stage_result = "stage.image";  // the name of results that are whole stages

struct StageContext {
    const definition::Definition& definition;
    const definition::Stage& stage;
    const RecipeOptions& options;
    const StageFiles& files;
};

// Whether the stage has such a section, not a blank one, that is to be acted on.
bool runs(const definition::Stage& stage, const ChosenSections& chosen, const char* section);

// "stage 'build'", "stage 2"; "" for the only one.
std::string stage_name(const definition::Definition& definition, const definition::Stage& stage);
// Whose results they are, for StageResults.
std::string origin_of(const StageContext& context);

// Of what the scripts change in the writable layer. Nothing when that cannot be known, or there is nothing to keep:
// %setup reads the host, a directory changes unnoticed.
std::optional<StageInputs> inputs_of_changes(const StageContext& context, const RecipeBase& base,
                                             const std::optional<definition::Section>& post);
// Of the image of a stage that is not the last one. Nothing as above.
std::optional<StageInputs> inputs_of_stage(const StageContext& context, const RecipeBase& base,
                                           const std::optional<definition::Section>& post);

}  // namespace sg
