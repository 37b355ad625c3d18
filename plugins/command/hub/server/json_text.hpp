// JSON as it is written: an object or array grows member by member.
#pragma once
#include <concepts>
#include <string>
#include <string_view>

namespace hub {

std::string json_quoted(std::string_view text);  // with quotes; bytes that are no UTF-8 become U+FFFD

class JsonObject {
public:
    JsonObject& add(std::string_view name, std::string_view value) { return raw(name, json_quoted(value)); }
    JsonObject& add(std::string_view name, const char* value) { return add(name, std::string_view(value)); }
    JsonObject& add(std::string_view name, const std::string& value) { return add(name, std::string_view(value)); }
    JsonObject& add(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    JsonObject& add(std::string_view name, T value) {
        return raw(name, std::to_string(value));
    }
    JsonObject& raw(std::string_view name, std::string_view json);
    std::string text() const { return "{" + members_ + "}"; }

private:
    std::string members_;
};

class JsonArray {
public:
    JsonArray& add(std::string_view value) { return raw(json_quoted(value)); }
    JsonArray& raw(std::string_view json);
    std::string text() const { return "[" + items_ + "]"; }

private:
    std::string items_;
};

}  // namespace hub
