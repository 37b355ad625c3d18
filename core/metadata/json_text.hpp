// Small helpers for the JSON that this room writes and reads.
#pragma once
// json.hpp brings RapidJSON in a form that sanitizers bear, so it comes first.
// clang-format off
#include <singularity/json.hpp>
#include <rapidjson/prettywriter.h>
// clang-format on

#include <string>
#include <string_view>

namespace sg {

// The text with every byte that is no UTF-8 replaced by U+FFFD: files of an image hold what they like, JSON does not.
std::string valid_utf8(std::string_view text);

// At most 64 levels; bytes that are no UTF-8 are replaced first. Code::corrupt names `what` and the place.
rapidjson::Document parse_json(std::string_view text, std::string_view what);

// One object: `indent` "" is compact.
template <class Writer>
void put(Writer& writer, std::string_view name, std::string_view value) {
    const std::string key = valid_utf8(name), text = valid_utf8(value);
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

}  // namespace sg
