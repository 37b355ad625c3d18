#include "definition.hpp"

#include <fstream>
#include <singularity/error.hpp>
#include <singularity/json.hpp>
#include <singularity/stream.hpp>
#include <sstream>

namespace conformance {

namespace {

using singularity::Code;
using singularity::Error;

struct File {
    std::string stage, source, destination;
};
struct Stage {
    std::string name, bootstrap, from;
    std::vector<File> files;
};

std::string trimmed(const std::string& text) {
    const size_t first = text.find_first_not_of(" \t\r");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<Stage> stages_of(const std::string& text, const std::string& path) {
    std::vector<Stage> out;
    std::string section, from_stage, line;
    std::istringstream lines(text);
    while (std::getline(lines, line)) {
        line = trimmed(line);
        if (line.empty() || line[0] == '#') continue;
        const size_t colon = line.find(':');
        std::string key = trimmed(line.substr(0, colon));
        for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        const std::string value = colon == std::string::npos ? "" : trimmed(line.substr(colon + 1));
        if (key == "bootstrap") {
            out.emplace_back().bootstrap = value;
            section.clear();
            continue;
        }
        if (out.empty())
            throw Error(Code::invalid, path + " is no definition file: it does not begin with 'Bootstrap:'");
        std::istringstream words(line);
        std::string first, second, third;
        words >> first >> second >> third;
        if (line[0] == '%') {
            section = first;
            from_stage = second == "from" ? third : "";
        } else if (section.empty() && key == "from") {
            out.back().from = value;
        } else if (section.empty() && key == "stage") {
            out.back().name = value;
        } else if (section == "%files" || section == "%appfiles") {
            out.back().files.push_back({from_stage, first, second});
        }
    }
    if (out.empty()) throw Error(Code::invalid, path + " is no definition file: it is empty");
    return out;
}

std::string base64(const std::string& bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; ++k)
            group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
        for (size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

std::string json_of(const std::string& text, const std::vector<Stage>& stages) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    const auto member = [&](const char* key, const std::string& value) {
        w.Key(key);
        w.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    };
    w.StartObject();
    member("definition", base64(text));
    w.Key("stages");
    w.StartArray();
    for (const auto& stage : stages) {
        w.StartObject();
        member("name", stage.name);
        member("bootstrap", stage.bootstrap);
        member("from", stage.from);
        w.Key("files");
        w.StartArray();
        for (const auto& file : stage.files) {
            w.StartObject();
            member("stage", file.stage);
            member("source", file.source);
            member("destination", file.destination);
            w.EndObject();
        }
        w.EndArray();
        w.EndObject();
    }
    w.EndArray();
    w.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

int32_t read(const char* path, const sg_pair*, sg_slice* out, sg_error* err) {
    return singularity::guard(err, [&] {
        std::ifstream file(path ? path : "", std::ios::binary);
        if (!file) throw Error(Code::not_found, std::string("cannot open ") + (path ? path : "(NULL)"));
        std::ostringstream text;
        text << file.rdbuf();
        const std::string json = json_of(text.str(), stages_of(text.str(), path));
        *out = singularity::Slice::owned(std::vector<uint8_t>(json.begin(), json.end())).release();
    });
}

}  // namespace

const sg_host_definition_v1 definition_table = {read};

}  // namespace conformance
