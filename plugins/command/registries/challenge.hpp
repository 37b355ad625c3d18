// What a server answers to who is not logged in: the challenges of WWW-Authenticate (RFC 9110, section 11.6.1).
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace registry_command {

struct Challenge {
    std::string scheme;                                           // lower case: "basic", "bearer"
    std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case
    std::string parameter(std::string_view name) const;           // "" when there is none
};

// The challenges of one header; at most 16. Reading ends at what is malformed.
std::vector<Challenge> read_challenges(std::string_view header);

}  // namespace registry_command
