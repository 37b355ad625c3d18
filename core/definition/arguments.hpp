// `{{ NAME }}` in a definition, `%arguments`, --build-arg and --build-arg-file (docs/user/definition-files.md).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "definition/text.hpp"

namespace sg::definition {

using Values = std::map<std::string, std::string>;

// "NAME=VALUE" of the command line. Throws Code::usage.
std::pair<std::string, std::string> parse_build_argument(const std::string& given);
// The lines of --build-arg-file; empty lines and comments are skipped. Throws with the place.
Values parse_argument_lines(const Text& text, const std::vector<Line>& lines);

// The lines with each placeholder replaced; lines that are comments stay as they are. Values of `given` come before
// those of `defaults`; a value may itself hold placeholders, one level deep. What was used goes into `used`.
// Throws with the place for a name that neither has.
std::vector<Line> substituted(const Text& text, const std::vector<Line>& lines, const Values& given, const Values& defaults,
                              Values& used);

}  // namespace sg::definition
