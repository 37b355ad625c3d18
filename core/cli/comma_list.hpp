// The values of an option that may be repeated and holds several, divided by commas: their words; empty ones are left out.
#pragma once
#include <string>
#include <vector>

namespace sg {

std::vector<std::string> comma_list(const std::vector<std::string>& texts);

}  // namespace sg
