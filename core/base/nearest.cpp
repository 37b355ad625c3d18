#include "base/nearest.hpp"

#include <algorithm>

namespace sg {

static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

size_t edit_distance(std::string_view a, std::string_view b) {
    // Words that long are no typing errors of each other; it also bounds the work.
    if (a.size() > 200 || b.size() > 200) return a == b ? 0 : std::max(a.size(), b.size());
    std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(now);
    }
    return last[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string_view>& among) {
    std::string_view best;
    size_t least = SIZE_MAX;
    for (const auto candidate : among) {
        const size_t d = edit_distance(word, candidate);
        if (d < least) least = d, best = candidate;
    }
    const size_t allowed = std::max<size_t>(1, std::max(word.size(), best.size()) / 3);
    return least <= allowed ? std::string(best) : std::string();
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& among) {
    const std::string n = nearest(word, among);
    return n.empty() ? n : "Did you mean '" + n + "'?";
}

}  // namespace sg
