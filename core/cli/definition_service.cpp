#include "cli/definition_service.hpp"

#include <mutex>
#include <singularity/stream.hpp>

#include "base/error.hpp"
#include "build/grammar.hpp"
#include "cli/json_writer.hpp"
#include "credentials/base64.hpp"
#include "metadata/json_text.hpp"

namespace sg {

namespace {

std::mutex mutex;
Index known;  // under the mutex

void write_files(JsonWriter& json, const std::vector<definition::FilePair>& pairs, const std::string& stage) {
    for (const auto& pair : pairs) {
        json.begin_object();
        json.member("stage", valid_utf8(stage));
        json.member("source", valid_utf8(pair.source));
        json.member("destination", valid_utf8(pair.destination));
        json.end_object();
    }
}

void write_header(JsonWriter& json, const definition::Stage& stage) {
    json.key("header");
    json.begin_array();
    for (const auto& key : stage.header) {
        json.begin_object();
        json.member("key", valid_utf8(key.name));
        json.member("value", valid_utf8(key.value));
        json.key("line");
        json.integer(key.value_at.line);
        json.end_object();
    }
    json.end_array();
}

std::string json_of(const definition::Definition& d) {
    JsonWriter json;
    json.begin_object();
    json.member("definition", base64_encode(d.text()).view());
    json.key("stages");
    json.begin_array();
    for (const auto& stage : d.stages) {
        json.begin_object();
        json.member("name", valid_utf8(stage.name));
        json.member("bootstrap", valid_utf8(stage.value("bootstrap")));
        json.member("from", valid_utf8(stage.value("from")));
        write_header(json, stage);
        json.key("files");
        json.begin_array();
        for (const auto& files : stage.files) write_files(json, files.pairs, files.stage);
        for (const auto& app : stage.apps) write_files(json, app.files, "");
        json.end_array();
        json.end_object();
    }
    json.end_array();
    json.end_object();
    return json.take();
}

int32_t read(const char* path, const sg_pair* options, sg_slice* out, sg_error* err) {
    return singularity::guard(err, [&] {
        std::vector<std::string> given;
        std::string file;
        bool tolerant = false;
        for (const sg_pair* p = options; p && p->key; ++p) {
            const std::string_view key(p->key);
            if (key == "build-arg") given.emplace_back(p->value);
            if (key == "build-arg-file") file = p->value;
            if (key == "warn-unused-build-args") tolerant = std::string_view(p->value) == "true";
        }
        Index index;
        {
            const std::lock_guard lock(mutex);
            index = known;
        }
        const auto arguments = build_arguments(given, file, tolerant);
        const std::string json = json_of(definition::parse(definition::read_text(path), definition_grammar(index), arguments));
        *out = singularity::Slice::owned(std::vector<uint8_t>(json.begin(), json.end())).release();
    });
}

}  // namespace

const sg_host_definition_v1& definition_table(const Index& index) {
    static constexpr sg_host_definition_v1 table{read};
    const std::lock_guard lock(mutex);
    known = index;
    return table;
}

}  // namespace sg
