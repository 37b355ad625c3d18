#include "definition/definition.hpp"

#include <algorithm>

namespace sg::definition {

namespace {

template <class List>
auto find_named(const List& list, std::string_view name) -> decltype(&list.front()) {
    const auto it = std::find_if(list.rbegin(), list.rend(), [&](const auto& item) { return item.name == name; });
    return it == list.rend() ? nullptr : &*it;
}

}  // namespace

std::string Section::body() const {
    std::string out;
    for (const Line& line : lines) out.append(line.text).push_back('\n');
    return out;
}

bool Section::blank() const {
    return std::all_of(lines.begin(), lines.end(), [](const Line& line) {
        const auto text = trimmed(line.text);
        return text.empty() || (text[0] == '#' && !text.starts_with("#!"));
    });
}

const Section* App::section(std::string_view wanted) const { return find_named(sections, wanted); }
const Section* Stage::section(std::string_view wanted) const { return find_named(sections, wanted); }
const Key* Stage::key(std::string_view wanted) const { return find_named(header, wanted); }

std::string Stage::value(std::string_view wanted) const {
    const Key* found = key(wanted);
    return found ? found->value : std::string();
}

std::string Definition::text() const {
    std::string out;
    for (const Stage& stage : stages) out += stage.text;
    return out;
}

}  // namespace sg::definition
