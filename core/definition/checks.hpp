// What a definition does that its author will probably regret: warnings of `build` and `singularity lint`, none of which
// stops a build. Each has a rule, the word that silences it:
//
//     # lint: allow no-runscript          in the header: everywhere in the file
//     # lint: allow home-files, password  elsewhere: in this line and the next one that is no comment
#pragma once
#include <string_view>
#include <vector>

#include "definition/parser.hpp"

namespace sg::definition {

struct Rule {
    std::string_view name, reason;
};
const std::vector<Rule>& rules();

// Those of the parser and of the rules, in the order of their lines, without the silenced ones.
std::vector<Finding> check(const Definition& definition, const Arguments& arguments);

}  // namespace sg::definition
