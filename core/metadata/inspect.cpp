#include "metadata/inspect.hpp"

#include <cstdio>
#include <optional>

#include <singularity/printable.hpp>

#include "base/log.hpp"
#include "metadata/image_files.hpp"

namespace sg {

namespace {

constexpr uint64_t max_part = 16ull << 20;

const AppAttributes& app_of(const Attributes& all, const std::string& name) {
    const auto it = all.apps.find(name);
    if (it != all.apps.end()) return it->second;
    std::string known;
    for (const auto& [app, unused] : all.apps) known += (known.empty() ? "" : ", ") + app;
    throw Error(Code::not_found, "the image has no app '" + name + "'",
                known.empty() ? "it has no apps at all" : "its apps are: " + known);
}

std::string printable(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (const size_t length = text[i] == '\n' || text[i] == '\t' ? 1 : singularity::printable_length(text, i)) {
            out.append(text, i, length);
            i += length;
            continue;
        }
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(text[i++]));
        out += hex;
    }
    return out;
}

}  // namespace

std::optional<std::string> read_part(OpenedImage& image, std::string_view type, std::string_view name,
                                     const sg_call* call) {
    const sg_parts_v1* parts = image.format().parts;
    if (!parts) return std::nullopt;
    const uint64_t count = parts->count(image.file());
    for (uint64_t i = 0; i < count; ++i) {
        sg_part part{};
        singularity::check([&](sg_error* e) { return parts->get(image.file(), i, &part, e); });
        if (part.type != type || (!name.empty() && part.name != name)) continue;
        sg_stream* raw = nullptr;
        singularity::check([&](sg_error* e) { return parts->read(image.file(), part.id, call, &raw, e); });
        singularity::ForeignStream stream(raw);
        return singularity::read_all(stream, max_part, image.path() + ", part " + std::to_string(part.id));
    }
    return std::nullopt;
}

Attributes inspect_image(OpenedImage& image, const sg_call* call) {
    const auto deffile = read_part(image, "deffile", "", call);
    Attributes out;
    bool recorded = false;
    if (const auto record = read_part(image, "json", "inspect-metadata.json", call)) {
        try {
            out = parse_attributes(*record);
            recorded = true;
        } catch (const Error& e) {
            log::warning(image.path() + ": " + e.message() + "; reading the files of the image instead");
        }
    }
    if (!recorded) {
        std::vector<std::string> problems;
        out = read_attributes(image.root(), &problems);
        for (const auto& problem : problems) log::warning(image.path() + ": " + problem);
    }
    if (deffile) out.deffile = without_trailing_newlines(*deffile);
    return out;
}

Attributes selected(const Attributes& all, const Sections& s) {
    Attributes out;
    if (s.list_apps)
        for (const auto& [name, unused] : all.apps) out.apps[name];
    if (!s.app.empty()) {
        const AppAttributes& from = app_of(all, s.app);
        AppAttributes& to = out.apps[s.app];
        if (s.labels) to.labels = from.labels;
        if (s.runscript) to.runscript = from.runscript;
        if (s.startscript) to.startscript = from.startscript;
        if (s.test) to.test = from.test;
        if (s.helpfile) to.helpfile = from.helpfile;
        if (s.environment) to.environment = from.environment;
        return out;
    }
    if (s.labels) out.labels = all.labels;
    if (s.deffile) out.deffile = all.deffile;
    if (s.runscript) out.runscript = all.runscript;
    if (s.startscript) out.startscript = all.startscript;
    if (s.test) out.test = all.test;
    if (s.helpfile) out.helpfile = all.helpfile;
    if (s.environment) out.environment = all.environment;
    return out;
}

std::string shown_text(const Attributes& all, const Sections& s, LabelForm form, bool terminal) {
    AppAttributes from{all.environment, all.labels, all.runscript, all.startscript, all.test, all.helpfile};
    if (!s.app.empty()) from = app_of(all, s.app);
    std::string out;
    const auto section = [&](bool wanted, const std::string& text) {
        if (wanted && !text.empty()) out += text + "\n";
    };
    if (s.list_apps)
        for (const auto& [name, unused] : all.apps) out += name + "\n";
    section(s.deffile, all.deffile);
    section(s.runscript, from.runscript);
    section(s.startscript, from.startscript);
    section(s.test, from.test);
    section(s.helpfile, from.helpfile);
    if (s.environment)
        for (const auto& [path, text] : from.environment) out += "=== " + path + " ===\n" + text + "\n\n";
    if (s.labels) {
        if (form == LabelForm::json)
            out += labels_json(from.labels, "    ");
        else
            for (const auto& [name, value] : from.labels) out += name + ": " + value + "\n";
    }
    return terminal ? printable(out) : out;
}

}  // namespace sg
