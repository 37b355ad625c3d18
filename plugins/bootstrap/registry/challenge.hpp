// What a server wants to know (RFC 9110, section 11.6.1): the challenges of WWW-Authenticate headers.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace registry {

struct Challenge {
    std::string scheme;                                             // lower case: "basic", "bearer"
    std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case

    std::string parameter(std::string_view name) const;  // the first of that name, or ""
};

// All challenges of one header, in its order; several headers are read one after another. What is malformed ends the
// reading: the challenges before it count. At most 16 challenges and 64 parameters each.
std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace registry
