// The known word that somebody probably meant, for hints.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sg {

// Edits (insert, delete, replace, swap of neighbours) between two words, letter case ignored.
size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `among` (the first of equals); "" when none is near enough to be meant.
std::string nearest(std::string_view word, const std::vector<std::string_view>& among);

// "Did you mean 'X'?" or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& among);

}  // namespace sg
