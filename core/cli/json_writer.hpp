// JSON documents as text, two blanks deep.
#pragma once
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <string>
#include <string_view>

namespace sg {

class JsonWriter {
public:
    JsonWriter() { writer_.SetIndent(' ', 2); }
    void begin_object() { writer_.StartObject(); }
    void end_object() { writer_.EndObject(); }
    void begin_array() { writer_.StartArray(); }
    void end_array() { writer_.EndArray(); }
    void key(std::string_view k) { writer_.Key(k.data(), static_cast<unsigned>(k.size())); }
    void text(std::string_view v) { writer_.String(v.data(), static_cast<unsigned>(v.size())); }
    void integer(int64_t v) { writer_.Int64(v); }
    void real(double v) { writer_.Double(v); }
    void boolean(bool v) { writer_.Bool(v); }
    void null() { writer_.Null(); }
    void member(std::string_view k, std::string_view v) { key(k), text(v); }
    std::string take() { return std::string(buffer_.GetString(), buffer_.GetSize()) + "\n"; }

private:
    rapidjson::StringBuffer buffer_;
    rapidjson::PrettyWriter<rapidjson::StringBuffer> writer_{buffer_};
};

}  // namespace sg
