// What `%files` and `%appfiles` of a stage bring, of the host and of earlier stages.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "build/files_copy.hpp"
#include "build/recipe_sections.hpp"
#include "build/stage_inputs.hpp"
#include "definition/definition.hpp"
#include "plugin/host.hpp"

namespace sg {

class StageFiles {
public:
    // `directory` is where the user stands. The others must outlive it.
    StageFiles(const definition::Definition& definition, const ChosenSections& chosen, std::string directory,
               const sg_call* call)
        : definition_(definition), chosen_(chosen), directory_(std::move(directory)), call_(call) {}

    // A stage that is done, for those behind it.
    void finished(const std::string& stage, OpenedImage image) {
        images_[stage] = std::make_unique<OpenedImage>(std::move(image));
    }
    // The first stage that this one takes files from and that is not done; "" = none.
    std::string missing(const definition::Stage& stage) const;

    // No time is later than `latest`.
    void of_stages(const definition::Stage& stage, FilesTarget& to, std::optional<int64_t> latest) const;
    void of_host(const definition::Stage& stage, FilesTarget& to, std::optional<int64_t> latest) const;
    // Names, contents and modes, an input for each line.
    void add_to(StageInputs& inputs, const definition::Stage& stage) const;

private:
    void copy(const std::vector<definition::FilePair>& pairs, const std::string& stage, FilesTarget& to,
              const std::string& top, std::optional<int64_t> latest) const;

    const definition::Definition& definition_;
    const ChosenSections& chosen_;
    const std::string directory_;
    const sg_call* call_;
    std::map<std::string, std::unique_ptr<OpenedImage>> images_;
};

}  // namespace sg
