// The findings, for people and for programs.
#pragma once
#include <string>
#include <vector>

#include "child.hpp"
#include "subject.hpp"

namespace conformance {

std::string report_text(const Subject& subject, const std::vector<Outcome>& outcomes);
std::string report_json(const Subject& subject, const std::vector<Outcome>& outcomes);

}  // namespace conformance
