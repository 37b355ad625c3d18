#include "image/config.hpp"

#include <map>
#include <singularity/digest.hpp>
#include <singularity/json.hpp>

namespace sg {
namespace {

namespace json = singularity::json;

// A list of words, or a single word as images from before 2014 have it.
std::vector<std::string> words(const json::Value& value) {
    if (value.is_text())
        return value.text().empty() ? std::vector<std::string>{} : std::vector<std::string>{value.text()};
    return value.texts();
}

}  // namespace

ImageConfig parse_image_config(std::string_view text, std::string_view where) {
    const json::Document document(text, std::string(where));
    const json::Value root = document.root();
    if (!root.is_object()) root.fail("is not an object");
    ImageConfig out;
    out.architecture = root["architecture"].text_or();
    out.os = root["os"].text_or();
    out.variant = root["variant"].text_or();
    out.created = root["created"].text_or();

    const json::Value rootfs = root["rootfs"];
    if (rootfs.present()) {
        const std::string type = rootfs["type"].text_or("layers");
        if (type != "layers") rootfs.fail("has the type \"" + json::printable(type) + "\", which is not \"layers\"");
        for (const json::Value& id : rootfs["diff_ids"].list())
            out.diff_ids.push_back(singularity::Digest::parse(id.text(), where).text());
    }

    const json::Value config = root["config"];
    out.config = config.present() ? config.dump() : "{}";
    out.env = config["Env"].texts();
    out.user = config["User"].text_or();
    out.workdir = config["WorkingDir"].text_or();
    out.has_entrypoint = config["Entrypoint"].present();
    out.entrypoint = words(config["Entrypoint"]);
    out.has_cmd = config["Cmd"].present();
    out.cmd = words(config["Cmd"]);
    std::map<std::string, std::string> labels;
    for (const auto& [name, value] : config["Labels"].members()) labels[name] = value.text_or();
    out.labels.assign(labels.begin(), labels.end());
    return out;
}

}  // namespace sg
