// From the sections of a stage to the texts and command lines that they mean (Apptainer's guide, "Definition Files").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "definition/definition.hpp"
#include "metadata/sections.hpp"

namespace sg {

// --section: which ones are acted on. Empty: all of them.
class ChosenSections {
public:
    // A name may be several, with commas between. Throws Code::usage for one that is no section, "none" and "all" apart.
    static ChosenSections parse(const std::vector<std::string>& names);
    bool has(std::string_view section) const;

private:
    bool all_ = true;
    std::vector<std::string> names_;
};

// A script as a file: "#!" line, blank line, body, newline. The body's own "#!" line and the section's arguments count.
std::string script_file(const definition::Section& section);

// The sections that become metadata.
ImageSections image_sections(const definition::Stage& stage, const ChosenSections& chosen);

// Whether %files names a place in /.singularity.d, or one of the links to it: what the image says of itself is known then
// when the files are in it, as with scripts.
bool brings_metadata(const definition::Stage& stage, const ChosenSections& chosen);

// "/bin/sh -ex [arguments] SCRIPT"; what follows "-c" and SCRIPT are one argument. Throws with the place.
std::vector<std::string> script_command(const definition::Text& text, const definition::Section& section, const std::string& script);

// The script of %post with those of %appinstall behind it; nothing when neither has anything to run.
std::optional<definition::Section> post_script(const definition::Stage& stage, const ChosenSections& chosen);

}  // namespace sg
