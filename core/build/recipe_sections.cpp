#include "build/recipe_sections.hpp"

#include <algorithm>
#include <filesystem>

#include "base/nearest.hpp"
#include "definition/parser.hpp"

namespace sg {

using definition::Line;
using definition::Section;
using definition::Stage;
using definition::trimmed;

namespace {

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size();) {
        const size_t first = text.find_first_not_of(" \t", at);
        if (first == std::string_view::npos) break;
        const size_t end = std::min(text.find_first_of(" \t", first), text.size());
        out.emplace_back(text.substr(first, end - first));
        at = end;
    }
    return out;
}

TextPairs pairs_of(const std::vector<definition::Label>& labels) {
    TextPairs out;
    for (const auto& label : labels) out.emplace_back(label.name, label.value);
    return out;
}

std::string shell_quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

}  // namespace

ChosenSections ChosenSections::parse(const std::vector<std::string>& names) {
    ChosenSections out;
    std::vector<std::string> each;
    for (const std::string& text : names)
        for (size_t at = 0; at <= text.size();) {
            const size_t end = std::min(text.find(',', at), text.size());
            each.emplace_back(trimmed(std::string_view(text).substr(at, end - at)));
            at = end + 1;
        }
    for (const std::string& name : each) {
        if (name == "all") continue;
        out.all_ = false;
        if (name == "none") continue;
        const auto& known = definition::section_names();
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw Error(Code::usage, "--section: there is no section '" + name + "'", did_you_mean(name, known));
        out.names_.push_back(name);
    }
    return out;
}

bool ChosenSections::has(std::string_view section) const {
    return all_ || std::find(names_.begin(), names_.end(), section) != names_.end();
}

std::string script_file(const Section& section) {
    std::string shebang = "#!/bin/sh", body = section.body();
    const size_t first = body.find_first_not_of(" \t\n");
    if (first != std::string::npos && body.compare(first, 2, "#!") == 0) {
        const size_t end = body.find('\n', first);
        shebang = std::string(trimmed(std::string_view(body).substr(first, end - first)));
        body.erase(0, end == std::string::npos ? end : end + 1);
    }
    if (!section.arguments.empty()) shebang += " " + section.arguments;
    return shebang + "\n\n" + body + "\n";
}

ImageSections image_sections(const Stage& stage, const ChosenSections& chosen) {
    ImageSections out;
    const auto section = [&](const char* name) -> const Section* { return chosen.has(name) ? stage.section(name) : nullptr; };
    const auto script = [&](const char* name, std::optional<std::string>& to) {
        if (const Section* s = section(name); s && !s->blank()) to = script_file(*s);
    };
    script("runscript", out.runscript);
    script("startscript", out.startscript);
    script("test", out.test);
    if (const Section* s = section("environment"); s && !s->blank()) out.environment = s->body();
    if (const Section* s = section("help"); s && !trimmed(s->body()).empty()) out.help = s->body();
    if (chosen.has("labels")) out.labels = pairs_of(stage.labels);
    for (const definition::App& app : stage.apps) {
        AppSections a;
        a.name = app.name;
        const auto app_script = [&](const char* name, std::optional<std::string>& to) {
            if (const Section* s = app.section(name); s && !s->blank()) to = script_file(*s);
        };
        app_script("apprun", a.runscript);
        app_script("appstart", a.startscript);
        app_script("apptest", a.test);
        if (const Section* s = app.section("appenv"); s && !s->blank()) a.environment = s->body();
        if (const Section* s = app.section("apphelp"); s) a.help = s->body();
        a.labels = pairs_of(app.labels);
        out.apps.push_back(std::move(a));
    }
    return out;
}

std::vector<std::string> script_command(const definition::Text& text, const Section& section, const std::string& script) {
    std::vector<std::string> out = {"/bin/sh", "-ex"};
    const auto words = words_of(section.arguments);
    for (size_t i = 0; i < words.size(); ++i) {
        out.push_back(words[i]);
        if (words[i] != "-c") continue;
        if (i + 1 == words.size()) throw text.error(section.at, "'-c' after %" + section.name + " names no shell", "The form is '%" + section.name + " -c /bin/bash'.");
        std::string command;
        for (size_t k = i + 1; k < words.size(); ++k) command += words[k] + " ";
        out.push_back(command + script);
        return out;
    }
    out.push_back(script);
    return out;
}

bool brings_metadata(const Stage& stage, const ChosenSections& chosen) {
    if (!chosen.has("files")) return false;
    for (const definition::Files& files : stage.files)
        for (const definition::FilePair& pair : files.pairs) {
            const std::string to = std::filesystem::path("/" + (pair.destination.empty() ? pair.source : pair.destination)).lexically_normal();
            const std::string_view first = std::string_view(to).substr(1, to.find('/', 1) == std::string::npos ? to.npos : to.find('/', 1) - 1);
            if (first == ".singularity.d" || first == "environment" || first == "singularity") return true;
        }
    return false;
}

std::optional<Section> post_script(const Stage& stage, const ChosenSections& chosen) {
    const Section* post = chosen.has("post") ? stage.section("post") : nullptr;
    Section out;
    out.name = "post";
    if (post) out = *post;
    bool any = post && !post->blank();
    if (!chosen.has("post")) return std::nullopt;
    for (const definition::App& app : stage.apps) {
        const Section* install = app.section("appinstall");
        if (!install || install->blank()) continue;
        const std::string root = "/scif/apps/" + app.name;
        if (!any) out.at = install->at;
        any = true;
        out.lines.push_back({install->at.line, "cd /"});
        out.lines.push_back({install->at.line, ". " + shell_quoted(root + "/scif/env/01-base.sh")});
        out.lines.push_back({install->at.line, "cd " + shell_quoted(root)});
        out.lines.insert(out.lines.end(), install->lines.begin(), install->lines.end());
        out.lines.push_back({install->at.line, "cd /"});
    }
    return any ? std::optional(out) : std::nullopt;
}

}  // namespace sg
