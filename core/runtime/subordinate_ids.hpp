// /etc/subuid and /etc/subgid: the ids that a user may map besides his own (subuid(5), subgid(5)).
// A line that begins with '!' is switched off: other tools then do not find the name either.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sg::runtime {

constexpr uint32_t subordinate_count = 65536;  // ids that a container needs to have every usual one

struct SubordinateRange {
    uint32_t start = 0, count = 0;
};

// The range of the user in text of that form: exactly 65536 ids before more of them; fewer do not count.
std::optional<SubordinateRange> find_range(std::string_view text, const std::string& name, uint32_t uid);

// Of the machine's two files; nothing when either has none.
struct SubordinateIds {
    SubordinateRange uids, gids;
};
std::optional<SubordinateIds> subordinate_ids(const std::string& name, uint32_t uid);

enum class RangeEdit { add, remove, enable, disable };

// The text after the edit. Throws Code::not_found when there is nothing to remove, enable or disable. Adding what is
// there already changes nothing; `taken` are further ranges that a new one must not overlap.
std::string edit_ranges(std::string_view text, RangeEdit edit, const std::string& name, uint32_t uid, std::string_view taken = {});

// Both files of the machine. Throws Code::permission for whoever may not.
void edit_subordinate_ids(RangeEdit edit, const std::string& name);

}  // namespace sg::runtime
