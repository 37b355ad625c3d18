#include "cli/comma_list.hpp"

#include <algorithm>

namespace sg {

std::vector<std::string> comma_list(const std::vector<std::string>& texts) {
    std::vector<std::string> out;
    for (const auto& text : texts)
        for (size_t at = 0; at <= text.size();) {
            const size_t end = std::min(text.find(',', at), text.size());
            if (end > at) out.push_back(text.substr(at, end - at));
            at = end + 1;
        }
    return out;
}

}  // namespace sg
