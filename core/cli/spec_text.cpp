#include "cli/spec_text.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <vector>

#include "base/error.hpp"

namespace sg {
namespace {

using Value = rapidjson::Value;

const Value& member(const Value& of, const char* name) {
    static const Value nothing;
    if (!of.IsObject()) return nothing;
    const auto it = of.FindMember(name);
    return it == of.MemberEnd() ? nothing : it->value;
}
template <class... Names>
const Value& member(const Value& of, const char* name, Names... below) {
    return member(member(of, name), below...);
}

// Texts as they are, all else as JSON.
std::string shown(const Value& v) {
    if (v.IsString()) return {v.GetString(), v.GetStringLength()};
    if (v.IsNull()) return {};
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    v.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

// One line each, whatever a value holds.
std::string one_line(std::string text) {
    for (size_t at = 0; (at = text.find_first_of("\n\r\033", at)) != std::string::npos;)
        text.replace(at, 1, text[at] == '\n' ? "\\n" : text[at] == '\r' ? "\\r" : "\\e");
    return text;
}

std::string joined(const Value& list, const char* divider, const char* of = nullptr) {
    std::string out;
    if (list.IsArray())
        for (const auto& v : list.GetArray()) out += (out.empty() ? "" : divider) + shown(of ? member(v, of) : v);
    return out;
}

class Page {
public:
    void line(const std::string& name, const std::string& value) {
        if (value.empty()) return;
        text_ += name + ":" + std::string(name.size() < 14 ? 14 - name.size() : 1, ' ') + one_line(value) + "\n";
    }
    void heading(const char* name) { text_ += std::string(name) + ":\n"; }
    // The columns of a table, as wide as its widest cells.
    void table(const std::vector<std::vector<std::string>>& rows) {
        std::vector<size_t> widths;
        for (const auto& row : rows)
            for (size_t i = 0; i < row.size(); ++i) {
                widths.resize(std::max(widths.size(), i + 1));
                widths[i] = std::max(widths[i], std::min<size_t>(row[i].size(), 48));
            }
        for (const auto& row : rows) {
            std::string text = " ";
            for (size_t i = 0; i < row.size(); ++i) {
                text += " " + one_line(row[i]);
                if (i + 1 < row.size() && row[i].size() < widths[i]) text.append(widths[i] - row[i].size(), ' ');
            }
            text.erase(text.find_last_not_of(' ') + 1);
            text_ += text + "\n";
        }
    }
    std::string take() { return std::move(text_); }

private:
    std::string text_;
};

std::string image_line(const Value& image) {
    std::string out = shown(member(image, "path")) + " (" + shown(member(image, "type"));
    if (member(image, "offset").IsUint64() && member(image, "offset").GetUint64() != 0)
        out += " at byte " + shown(member(image, "offset"));
    if (const std::string arch = shown(member(image, "arch")); !arch.empty()) out += ", " + arch;
    if (member(image, "writable").IsTrue()) out += ", writable";
    return out + ")";
}

std::string maps(const Value& list) {
    std::string out;
    if (list.IsArray())
        for (const auto& m : list.GetArray())
            out += (out.empty() ? "" : ", ") + shown(member(m, "containerID")) + " is " + shown(member(m, "hostID")) +
                   " outside" + (shown(member(m, "size")) == "1" ? "" : " (" + shown(member(m, "size")) + " ids)");
    return out;
}

}  // namespace

std::string spec_text(const std::string& json) {
    rapidjson::Document d;
    d.Parse(json.data(), json.size());
    if (d.HasParseError()) throw Error(Code::internal, "the LaunchSpec is no JSON");
    Page page;
    if (const Value& images = member(d, "images"); images.IsArray())
        for (const auto& i : images.GetArray())
            page.line(shown(member(i, "role")) == "root" ? "image" : shown(member(i, "role")), image_line(i));
    const std::string arguments = joined(member(d, "container", "action", "args"), " ");
    page.line("action", shown(member(d, "container", "action", "name")) + (arguments.empty() ? "" : " " + arguments));
    page.line("app", shown(member(d, "container", "action", "app")));
    page.line("directory", shown(member(d, "process", "cwd")));
    page.line("user", shown(member(d, "process", "user", "uid")) + ":" + shown(member(d, "process", "user", "gid")) +
                          " (" + shown(member(d, "container", "identity", "user", "name")) + ", home " +
                          shown(member(d, "container", "identity", "user", "home")) + ")");
    page.line("user ids", maps(member(d, "linux", "uidMappings")));
    page.line("group ids", maps(member(d, "linux", "gidMappings")));
    page.line("host name", shown(member(d, "hostname")));
    page.line("namespaces", joined(member(d, "linux", "namespaces"), " ", "type"));
    page.line("networks", joined(member(d, "container", "networks", "names"), " "));
    const Value& capabilities = member(d, "process", "capabilities", "effective");
    page.line("capabilities", capabilities.IsArray() ? (capabilities.Empty() ? "none" : joined(capabilities, " "))
                                                     : "what the machine gives");
    page.line("privileges",
              member(d, "process", "noNewPrivileges").IsTrue() ? "no new ones" : "new ones can be gained");
    page.line("layer", shown(member(d, "container", "layer")) +
                           (member(d, "root", "readonly").IsTrue() ? "" : ", the image itself is written to"));
    page.line("limits", shown(member(d, "linux", "resources")));
    page.line("seccomp", member(d, "linux", "seccomp").IsObject()
                             ? "a profile, default " + shown(member(d, "linux", "seccomp", "defaultAction"))
                             : "");

    std::vector<std::vector<std::string>> rows;
    if (const Value& mounts = member(d, "mounts"); mounts.IsArray())
        for (const auto& m : mounts.GetArray())
            rows.push_back({shown(member(m, "destination")), shown(member(m, "type")), shown(member(m, "source")),
                            joined(member(m, "options"), ","), "[" + shown(member(m, "tag")) + "]"});
    page.heading("mounts");
    page.table(rows);

    rows.clear();
    if (const Value& all = member(d, "process", "env"); all.IsArray())
        for (const auto& v : all.GetArray()) rows.push_back({shown(v)});
    page.heading("environment of the host");
    page.table(rows);
    rows.clear();
    if (const Value& all = member(d, "container", "environment", "overrides"); all.IsArray())
        for (const auto& v : all.GetArray()) rows.push_back({joined(v, "=")});
    if (!rows.empty()) {
        page.heading("set after the image's scripts");
        page.table(rows);
    }
    rows.clear();
    if (const Value& origin = member(d, "origin"); origin.IsObject())
        for (const auto& o : origin.GetObject()) rows.push_back({shown(o.name), shown(o.value)});
    page.heading("where settings come from");
    page.table(rows);
    return page.take();
}

}  // namespace sg
