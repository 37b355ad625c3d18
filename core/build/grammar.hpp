// What the registered sources say of definition files.
#pragma once
#include <string>
#include <vector>

#include "config/index.hpp"
#include "definition/parser.hpp"

namespace sg {

definition::Grammar definition_grammar(const Index& index);

// --build-arg and --build-arg-file; those of the command line come first. Throws usage, invalid, not_found.
definition::Arguments build_arguments(const std::vector<std::string>& given, const std::string& file, bool tolerant);

}  // namespace sg
