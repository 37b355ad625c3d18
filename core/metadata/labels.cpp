#include "metadata/labels.hpp"

#include <ctime>

#include "base/error.hpp"
#include "metadata/json_text.hpp"

namespace sg {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string json_of(const rapidjson::Value& value) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    value.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace

Labels parse_labels(std::string_view json) {
    Labels out;
    if (json.find_first_not_of(" \t\r\n") == std::string_view::npos) return out;
    const auto doc = parse_json(json, "labels.json");
    if (doc.IsNull()) return out;
    if (!doc.IsObject()) throw Error(Code::corrupt, "labels.json is no JSON object");
    for (const auto& member : doc.GetObject()) {
        std::string name(member.name.GetString(), member.name.GetStringLength());
        out[name] = member.value.IsString() ? std::string(member.value.GetString(), member.value.GetStringLength())
                                            : json_of(member.value);
    }
    return out;
}

std::string labels_json(const Labels& labels, std::string_view indent) {
    rapidjson::StringBuffer buffer;
    rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
    writer.SetIndent(indent.empty() ? ' ' : indent[0], static_cast<unsigned>(indent.size()));
    writer.StartObject();
    for (const auto& [name, value] : labels) put(writer, name, value);
    writer.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

std::string build_date(int64_t time) {
    static constexpr const char* days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                           "Thursday", "Friday", "Saturday"};
    static constexpr const char* months[] = {"January", "February", "March",     "April",   "May",      "June",
                                             "July",    "August",   "September", "October", "November", "December"};
    const auto t = static_cast<time_t>(time);
    struct tm p {};
    if (!::gmtime_r(&t, &p)) throw Error(Code::invalid, "the time " + std::to_string(time) + " has no date");
    const auto n = [](int value) { return std::to_string(value); };
    return std::string(days[p.tm_wday]) + "_" + n(p.tm_mday) + "_" + months[p.tm_mon] + "_" +
           std::to_string(1900LL + p.tm_year) + "_" + n(p.tm_hour) + ":" + n(p.tm_min) + ":" + n(p.tm_sec) + "_UTC";
}

void add_build_labels(Labels& labels, const std::vector<std::pair<std::string, std::string>>& header,
                      std::string_view arch, std::optional<int64_t> time, std::string_view version) {
    labels["org.label-schema.schema-version"] = "1.0";
    labels.erase("org.label-schema.build-date");
    if (time) labels["org.label-schema.build-date"] = build_date(*time);
    if (!arch.empty()) labels["org.label-schema.build-arch"] = std::string(arch);
    if (!version.empty()) labels["org.label-schema.usage.singularity.version"] = std::string(version);
    for (const auto& [key, value] : header)
        if (!value.empty()) labels["org.label-schema.usage.singularity.deffile." + lower(key)] = value;
}

}  // namespace sg
