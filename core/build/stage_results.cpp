#include "build/stage_results.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>

#include "store/inventory.hpp"

namespace sg {

namespace {

constexpr const char* area = "build";
constexpr size_t most_told = 5;

std::string key_of(const std::string& name, const StageInputs& inputs) { return name + "-" + inputs.key(); }

int64_t age_of(const std::string& path) {
    struct stat st {};
    return stat(path.c_str(), &st) == 0 ? std::max<int64_t>(0, std::time(nullptr) - st.st_mtime) : 0;
}

}  // namespace

std::optional<StageResult> StageResults::find(const std::string& name, const StageInputs& inputs) const {
    if (!enabled()) return std::nullopt;
    const auto path = cache_.find(area, key_of(name, inputs), name);
    if (!path) return std::nullopt;
    const int64_t age = age_of(*path);
    if (age > days_ * 86400) return std::nullopt;
    return StageResult{*path, age};
}

std::string StageResults::place(const std::string& name, const StageInputs& inputs) const {
    return cache_.place(area, key_of(name, inputs), name);
}

void StageResults::stored(const std::string& path, const StageInputs& inputs) const {
    cache_.stored(path, origin_ + "\n" + inputs.text());
}

std::string StageResults::why_not(const std::string& name, const StageInputs& inputs) const {
    if (!enabled()) return "nothing is reused (--no-cache, a cache that is off, or build.reuse_days)";
    if (const auto old = cache_.find(area, key_of(name, inputs), name))
        return "the result of " + shown_age(age_of(*old)) + " ago is too old (build.reuse_days is " +
               std::to_string(days_) + ")";
    const std::string mine = origin_ + "\n";
    std::string latest, note;
    int64_t modified = 0;
    for (const CachedFile& file : take_inventory(root_, {area}).images) {
        if (file.name != name || (!latest.empty() && file.modified < modified)) continue;
        std::string text = cache_.note_of(file.path);
        if (!text.starts_with(mine)) continue;
        latest = file.path, modified = file.modified, note = std::move(text);
    }
    if (latest.empty()) return "no earlier build of it is kept";
    const auto changes = inputs.changed_since(StageInputs::parse(std::string_view(note).substr(mine.size())));
    if (changes.empty()) return "its result is not as it was stored";
    std::string out;
    for (size_t i = 0; i < std::min(changes.size(), most_told); ++i) out += (i ? ", " : "") + changes[i];
    if (changes.size() > most_told) out += " and " + std::to_string(changes.size() - most_told) + " more";
    return out + " since the build of " + shown_age(age_of(latest)) + " ago";
}

std::string shown_age(int64_t seconds) {
    const auto say = [](int64_t n, const char* unit) { return std::to_string(n) + " " + unit + (n == 1 ? "" : "s"); };
    if (seconds >= 2 * 86400) return say(seconds / 86400, "day");
    if (seconds >= 2 * 3600) return say(seconds / 3600, "hour");
    if (seconds >= 60) return say(seconds / 60, "minute");
    return say(seconds, "second");
}

}  // namespace sg
