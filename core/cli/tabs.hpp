// A table of texts: each column as wide as its widest cell, four blanks between columns.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

namespace sg {

inline std::string in_columns(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows)
        for (size_t i = 0; i < row.size(); ++i) {
            if (widths.size() <= i) widths.push_back(0);
            widths[i] = std::max(widths[i], row[i].size());
        }
    std::string out;
    for (const auto& row : rows) {
        for (size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            if (i + 1 < row.size()) out.append(widths[i] - row[i].size() + 4, ' ');
        }
        out += "\n";
    }
    return out;
}

}  // namespace sg
