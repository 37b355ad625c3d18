#include "metadata/sections.hpp"

#include <map>

#include "metadata/labels.hpp"

namespace sg {

namespace {

std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else
            out.push_back(c);
    }
    return out + "'";
}

// The end of a variable's name.
std::string variable_end(const std::string& name) {
    std::string out = name;
    for (char& c : out) {
        const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!fine) c = '_';
    }
    return out;
}

}  // namespace

std::vector<std::string> app_directories(const std::string& name) {
    const std::string app = "scif/apps/" + name, data = "scif/data/" + name;
    return {"scif", "scif/apps", app, app + "/bin", app + "/lib", app + "/scif", app + "/scif/env", "scif/data", data, data + "/input", data + "/output"};
}

std::vector<SectionFile> app_files(const AppSections& app) {
    const std::string meta = "scif/apps/" + app.name + "/scif/";
    const std::string root = quoted("/scif/apps/" + app.name), data = quoted("/scif/data/" + app.name);
    std::vector<SectionFile> out;
    out.push_back({meta + "env/01-base.sh",
                   "#!/bin/sh\n\nSCIF_APPNAME=" + quoted(app.name) + "\nSCIF_APPROOT=" + root +
                       "\nSCIF_APPMETA=" + root + "/scif\nSCIF_DATA=/scif/data\nSCIF_APPDATA=" + data + "\nSCIF_APPINPUT=" + data + "/input\nSCIF_APPOUTPUT=" +
                       data + "/output\nexport SCIF_APPNAME SCIF_APPROOT SCIF_APPMETA SCIF_DATA SCIF_APPDATA SCIF_APPINPUT SCIF_APPOUTPUT\n",
                   0755});
    const auto add = [&](const char* name, const std::optional<std::string>& text, uint32_t mode) {
        if (text) out.push_back({meta + name, *text, mode});
    };
    add("env/90-environment.sh", app.environment, 0755);
    add("runscript", app.runscript, 0755);
    add("startscript", app.startscript, 0755);
    add("test", app.test, 0755);
    add("runscript.help", app.help, 0644);
    Labels labels{{"SCIF_APP_NAME", app.name}};
    for (const auto& [name, value] : app.labels) labels[name] = value;
    out.push_back({meta + "labels.json", labels_json(labels), 0644});
    return out;
}

std::string apps_environment(const std::vector<AppSections>& apps) {
    std::string out;
    for (const AppSections& app : apps) {
        const std::string n = variable_end(app.name), root = "/scif/apps/" + app.name, meta = root + "/scif";
        const auto set = [&](const std::string& name, const std::string& value) { out += name + "_" + n + "=" + quoted(value) + "\nexport " + name + "_" + n + "\n"; };
        out += "\n# " + app.name + "\n";
        set("SCIF_APPDATA", "/scif/data/" + app.name);
        set("SCIF_APPMETA", meta);
        set("SCIF_APPROOT", root);
        set("SCIF_APPBIN", root + "/bin");
        set("SCIF_APPLIB", root + "/lib");
        if (app.environment) set("SCIF_APPENV", meta + "/env/90-environment.sh");
        set("SCIF_APPLABELS", meta + "/labels.json");
        if (app.runscript) set("SCIF_APPRUN", meta + "/runscript");
        if (app.startscript) set("SCIF_APPSTART", meta + "/startscript");
    }
    return out;
}

TextPairs label_lines(std::string_view text) {
    TextPairs out;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string_view::npos || line[first] == '#') continue;
        line = line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
        const size_t blank = line.find_first_of(" \t");
        if (blank == std::string_view::npos) continue;
        out.emplace_back(line.substr(0, blank), line.substr(line.find_first_not_of(" \t", blank)));
    }
    return out;
}

}  // namespace sg
