#include "hub/builder/definition.hpp"

#include "hub/server/router.hpp"

namespace hub {

using Json = singularity::json::Value;

namespace {

constexpr size_t longest = 1 << 20;

// A script: {"args", "script"}, before 3.2 the text alone.
void add_section(std::string& out, const std::string& name, const Json& value) {
    const bool object = value.is_object();
    const std::string script = object ? value["script"].text_or() : value.text_or(),
                      args = object ? value["args"].text_or() : "";
    if (script.empty()) return;
    if (args.find('\n') != std::string::npos) throw HttpError{400, "the arguments of %" + name + " have several lines"};
    out += "\n%" + name + (args.empty() ? "" : " " + args) + "\n" + script + (script.ends_with('\n') ? "" : "\n");
}

const std::string& one_line(const std::string& text) {
    if (text.find_first_of("\r\n") != std::string::npos)
        throw HttpError{400, "a key, label or file of the definition has several lines"};
    return text;
}

std::string quoted(const std::string& text) {
    return text.find_first_of(" \t\"") == std::string::npos ? one_line(text) : "\"" + one_line(text) + "\"";
}

std::string from_values(const Json& d) {
    std::string out;
    const auto header = d["header"].members();
    // The first key of a header begins it.
    for (const bool first : {true, false})
        for (const auto& [key, value] : header)
            if ((key == "bootstrap") == first && !value.text_or().empty())
                out += one_line(key) + ": " + one_line(value.text()) + "\n";
    const auto build = d["buildData"], image = d["imageData"], scripts = image["imageScripts"];
    const auto files = build["files"];
    // Since 3.2: a list of {"args", "files"}.
    if (files.present())
        for (const auto& group : files.list()) {
            const bool grouped = group["files"].present();
            const std::string from = grouped ? group["args"].text_or() : "";
            out += "\n%files" + (from.empty() ? "" : " " + one_line(from)) + "\n";
            for (const auto& file : grouped ? group["files"].list() : std::vector<Json>{group}) {
                const std::string to = file["destination"].text_or(file["dst"].text_or());
                out += "    " + quoted(file["source"].text_or(file["src"].text_or())) +
                       (to.empty() ? "" : " " + quoted(to)) + "\n";
            }
        }
    const auto commands = build["buildScripts"];
    for (const char* name : {"pre", "setup", "post", "test"}) add_section(out, name, commands[name]);
    if (!commands["test"].present()) add_section(out, "test", scripts["test"]);
    add_section(out, "help", scripts["help"]);
    add_section(out, "environment", scripts["environment"]);
    add_section(out, "runscript", scripts["runScript"]);
    add_section(out, "startscript", scripts["startScript"]);
    const auto labels = image["labels"].members();
    if (!labels.empty()) out += "\n%labels\n";
    for (const auto& [name, value] : labels) out += "    " + one_line(name) + " " + one_line(value.text()) + "\n";
    for (const auto& [name, value] : d["customData"].members()) add_section(out, one_line(name), value);
    return out;
}

}  // namespace

std::string base64_decoded(const std::string& text, const std::string& what) {
    std::string out;
    unsigned bits = 0, kept = 0;
    size_t end = text.size();
    while (end > 0 && text[end - 1] == '=') --end;
    for (size_t i = 0; i < end; ++i) {
        const char c = text[i];
        if (c == '\n' || c == '\r') continue;
        const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                          : c >= 'a' && c <= 'z' ? c - 'a' + 26
                          : c >= '0' && c <= '9' ? c - '0' + 52
                          : c == '+' || c == '-' ? 62
                          : c == '/' || c == '_' ? 63
                                                 : -1;
        if (value < 0) throw HttpError{400, what + " is no base64"};
        bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffffff;
        if ((kept += 6) >= 8) out += static_cast<char>(bits >> (kept -= 8));
    }
    if (kept >= 6) throw HttpError{400, what + " is no base64"};
    return out;
}

std::string definition_text(const Json& request) {
    std::string text;
    const auto object = request["definition"];
    if (request["definitionRaw"].present())
        text = base64_decoded(request["definitionRaw"].text(), "definitionRaw");
    else if (object["fullraw"].present() && !object["fullraw"].text().empty())
        text = base64_decoded(object["fullraw"].text(), "definition.fullraw");
    else if (object["raw"].present() && !object["raw"].text().empty())
        text = base64_decoded(object["raw"].text(), "definition.raw");
    else if (object.present())
        text = from_values(object);
    else
        throw HttpError{400, "the request holds no definition"};
    if (text.size() > longest) throw HttpError{413, "the definition is larger than 1 MiB"};
    if (text.find('\0') != std::string::npos) throw HttpError{400, "the definition holds a NUL character"};
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) throw HttpError{400, "the definition is empty"};
    return text;
}

}  // namespace hub
