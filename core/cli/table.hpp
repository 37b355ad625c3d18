// Which verbs there are, and which of them this binary holds.
#pragma once
#include <string_view>
#include <vector>

#include "cli/verb.hpp"

namespace sg {

struct VerbRow {
    std::string_view name, group, summary;
    std::vector<std::string_view> aliases;
    bool heavy;
    const Verb* verb;  // null: in the other binary
};

const std::vector<VerbRow>& verb_table();
const VerbRow* find_verb(std::string_view name);  // by name or alias

}  // namespace sg
