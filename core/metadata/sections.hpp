// What the sections of a definition put into an image: texts of files, labels, apps (Apptainer's user
// guide, "Definition Files"; the Scientific Filesystem for apps).
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sg {

using TextPairs = std::vector<std::pair<std::string, std::string>>;

// One app (SCIF). Texts are whole files; an absent one is no file.
struct AppSections {
    std::string name;
    std::optional<std::string> environment, runscript, startscript, test, help;
    TextPairs labels;
};

struct ImageSections {
    std::optional<std::string> environment;                         // added to 90-environment.sh
    std::optional<std::string> runscript, startscript, test, help;  // whole files
    TextPairs labels;                                               // %labels
    bool force_labels = false;                                      // they replace what is there
    std::string post_labels;                      // what %post wrote to $SINGULARITY_LABELS: lines "name value"
    std::optional<std::string> post_environment;  // what it left in 91-environment.sh
    std::vector<AppSections> apps;
};

struct SectionFile {
    std::string path, text;
    uint32_t mode = 0644;
};

// The directories of an app, parents first.
std::vector<std::string> app_directories(const std::string& name);
// Its files below /scif.
std::vector<SectionFile> app_files(const AppSections& app);
// env/94-appsbase.sh for these apps.
std::string apps_environment(const std::vector<AppSections>& apps);
// Lines "name value"; a line without a value is left out.
TextPairs label_lines(std::string_view text);

}  // namespace sg
