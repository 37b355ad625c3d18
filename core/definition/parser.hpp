// From the text of a definition file to a Definition (Apptainer's user guide, "Definition Files"; what people write
// besides: tests/unit/definition/wild_test.cpp). All that Apptainer's parser accepts is, and what has one meaning.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "definition/arguments.hpp"
#include "definition/definition.hpp"

namespace sg::definition {

// What the registered sources say of headers.
struct Grammar {
    // Keywords of the source that serves a bootstrap; nothing when there is none.
    std::function<std::optional<std::vector<std::string>>(std::string_view bootstrap)> keywords;
    std::vector<std::string> all;  // keywords of every source
};

struct Arguments {
    Values given;
    bool tolerant = false;  // an argument that nothing uses is a finding instead of an error
};

// Throws Code::invalid, "FILE:LINE:COLUMN: what", for what is wrong, also for stages that do not exist.
Definition parse(const Text& text, const Grammar& grammar, const Arguments& arguments = {});

// Names of sections, for messages and for --section.
const std::vector<std::string_view>& section_names();

}  // namespace sg::definition
