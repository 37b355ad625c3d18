#include "image/time.hpp"

namespace sg {
namespace {

bool digits(std::string_view& text, int count, int64_t& out) {
    if (text.size() < static_cast<size_t>(count)) return false;
    out = 0;
    for (int i = 0; i < count; ++i) {
        const char c = text[static_cast<size_t>(i)];
        if (c < '0' || c > '9') return false;
        out = out * 10 + (c - '0');
    }
    text.remove_prefix(static_cast<size_t>(count));
    return true;
}

bool skip(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

// Days since 1970-01-01 of the proleptic Gregorian calendar.
int64_t days_from_civil(int64_t y, int64_t m, int64_t d) {
    y -= m <= 2;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t yoe = y - era * 400;
    const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

}  // namespace

std::optional<int64_t> parse_rfc3339(std::string_view text) {
    int64_t year, month, day, hour, minute, second, zone_hour = 0, zone_minute = 0;
    if (!digits(text, 4, year) || !skip(text, "-") || !digits(text, 2, month) || !skip(text, "-") ||
        !digits(text, 2, day) || !skip(text, "Tt ") || !digits(text, 2, hour) || !skip(text, ":") ||
        !digits(text, 2, minute) || !skip(text, ":") || !digits(text, 2, second))
        return std::nullopt;
    if (skip(text, ".,")) {
        int64_t ignored;
        if (!digits(text, 1, ignored)) return std::nullopt;
        while (digits(text, 1, ignored)) {
        }
    }
    int64_t sign = 0;
    if (!skip(text, "Zz")) {
        if (text.empty()) return std::nullopt;
        sign = text.front() == '-' ? -1 : 1;
        if (!skip(text, "+-") || !digits(text, 2, zone_hour) || !skip(text, ":") || !digits(text, 2, zone_minute))
            return std::nullopt;
    }
    static constexpr int64_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (!text.empty() || year < 1 || month < 1 || month > 12 || day < 1 || day > lengths[month - 1] ||
        (month == 2 && day == 29 && !leap) || hour > 23 || minute > 59 || second > 60 || zone_hour > 23 ||
        zone_minute > 59)
        return std::nullopt;
    return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
           sign * (zone_hour * 3600 + zone_minute * 60);
}

}  // namespace sg
