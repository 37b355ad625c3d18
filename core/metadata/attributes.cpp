#include "metadata/attributes.hpp"

#include "base/error.hpp"
#include "metadata/json_text.hpp"

namespace sg {

namespace {

template <class Writer>
void put_text(Writer& w, const char* name, const std::string& value) {
    if (!value.empty()) put(w, name, value);
}

template <class Writer>
void put_texts(Writer& w, const char* name, const std::map<std::string, std::string>& values) {
    if (values.empty()) return;
    w.Key(name);
    w.StartObject();
    for (const auto& [k, v] : values) put(w, k, v);
    w.EndObject();
}

template <class Writer>
void write(Writer& w, const Attributes& a) {
    w.StartObject();
    w.Key("data");
    w.StartObject();
    w.Key("attributes");
    w.StartObject();
    if (!a.apps.empty()) {
        w.Key("apps");
        w.StartObject();
        for (const auto& [name, app] : a.apps) {
            const std::string key = valid_utf8(name);
            w.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
            w.StartObject();
            put_texts(w, "environment", app.environment);
            put_texts(w, "labels", app.labels);
            put_text(w, "runscript", app.runscript);
            put_text(w, "startscript", app.startscript);
            put_text(w, "test", app.test);
            put_text(w, "helpfile", app.helpfile);
            w.EndObject();
        }
        w.EndObject();
    }
    put_texts(w, "environment", a.environment);
    put_texts(w, "labels", a.labels);
    put_text(w, "runscript", a.runscript);
    put_text(w, "test", a.test);
    put_text(w, "helpfile", a.helpfile);
    put_text(w, "deffile", a.deffile);
    put_text(w, "startscript", a.startscript);
    w.EndObject();
    w.EndObject();
    put(w, "type", "container");
    w.EndObject();
}

std::string text_of(const rapidjson::Value& value) {
    return value.IsString() ? std::string(value.GetString(), value.GetStringLength()) : std::string();
}

void read_text(const rapidjson::Value& from, const char* name, std::string& to) {
    if (const auto it = from.FindMember(name); it != from.MemberEnd()) to = text_of(it->value);
}

void read_texts(const rapidjson::Value& from, const char* name, std::map<std::string, std::string>& to) {
    const auto it = from.FindMember(name);
    if (it == from.MemberEnd() || !it->value.IsObject()) return;
    for (const auto& m : it->value.GetObject())
        to[std::string(m.name.GetString(), m.name.GetStringLength())] = text_of(m.value);
}

}  // namespace

std::string without_trailing_newlines(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    return std::string(text);
}

std::string attributes_json(const Attributes& attributes, std::string_view indent) {
    rapidjson::StringBuffer buffer;
    if (indent.empty()) {
        rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
        write(writer, attributes);
        return {buffer.GetString(), buffer.GetSize()};
    }
    rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
    writer.SetIndent(indent[0], static_cast<unsigned>(indent.size()));
    write(writer, attributes);
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

Attributes parse_attributes(std::string_view json) {
    const auto doc = parse_json(json, "the image's inspect metadata");
    const auto bad = [] { return Error(Code::corrupt, "the image's inspect metadata has no data.attributes"); };
    if (!doc.IsObject()) throw bad();
    const auto data = doc.FindMember("data");
    if (data == doc.MemberEnd() || !data->value.IsObject()) throw bad();
    const auto found = data->value.FindMember("attributes");
    if (found == data->value.MemberEnd() || !found->value.IsObject()) throw bad();
    const rapidjson::Value& from = found->value;
    Attributes a;
    read_texts(from, "environment", a.environment);
    read_texts(from, "labels", a.labels);
    read_text(from, "runscript", a.runscript);
    read_text(from, "test", a.test);
    read_text(from, "helpfile", a.helpfile);
    read_text(from, "deffile", a.deffile);
    read_text(from, "startscript", a.startscript);
    if (const auto apps = from.FindMember("apps"); apps != from.MemberEnd() && apps->value.IsObject())
        for (const auto& m : apps->value.GetObject()) {
            if (!m.value.IsObject()) continue;
            AppAttributes& app = a.apps[std::string(m.name.GetString(), m.name.GetStringLength())];
            read_texts(m.value, "environment", app.environment);
            read_texts(m.value, "labels", app.labels);
            read_text(m.value, "runscript", app.runscript);
            read_text(m.value, "startscript", app.startscript);
            read_text(m.value, "test", app.test);
            read_text(m.value, "helpfile", app.helpfile);
        }
    return a;
}

}  // namespace sg
