// Sources of %files as a shell would read them: ~, variables of the environment, braces. Patterns of names are left for
// expand_pattern (files_copy.hpp). No command is run.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sg {

// "~/x", "$NAME/x", "${NAME}/x" and "{a,b}.txt", in the order in which they are written; never empty. Letters of values
// that patterns are made of are themselves. Throws Code::not_found for a variable that is not set, Code::limit for more
// than 10,000 words, or 4096 bytes with braces.
std::vector<std::string> shell_words(std::string_view text);

}  // namespace sg
