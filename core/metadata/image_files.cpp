#include "metadata/image_files.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/error.hpp"

namespace sg {

namespace {

constexpr uint64_t max_text = 4ull << 20;
constexpr size_t max_names = 100'000;
constexpr int max_links = 40;  // as the kernel's

std::vector<std::string> components(std::string_view path) {
    std::vector<std::string> out;
    while (!path.empty()) {
        const auto slash = path.find('/');
        const auto name = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
        if (!name.empty() && name != ".") out.emplace_back(name);
    }
    return out;
}

bool matches(std::string_view name, std::string_view begin, std::string_view end) {
    return name.size() >= begin.size() + end.size() && name.substr(0, begin.size()) == begin &&
           name.substr(name.size() - end.size()) == end;
}

// The environment scripts that `inspect` shows (section 5).
bool is_shown(std::string_view name) {
    return matches(name, "10-docker", ".sh") || matches(name, "9", "-environment.sh");
}

Labels read_labels(const singularity::ForeignRoot& root, const std::string& path, std::vector<std::string>* problems) {
    try {
        return parse_labels(read_text_file(root, path).value_or(""));
    } catch (const Error& e) {
        if (e.code() != Code::corrupt && e.code() != Code::limit) throw;
        if (problems) problems->push_back("/" + path + ": " + e.message());
        return {};
    }
}

std::string text_of(const singularity::ForeignRoot& root, const std::string& path) {
    return without_trailing_newlines(read_text_file(root, path).value_or(""));
}

void read_environment(const singularity::ForeignRoot& root, const std::string& directory,
                      std::map<std::string, std::string>& to) {
    for (const std::string& name : names_in(root, directory))
        if (is_shown(name))
            if (const auto text = read_text_file(root, directory + "/" + name))
                to["/" + directory + "/" + name] = without_trailing_newlines(*text);
}

}  // namespace

uint64_t resolve_inside(const singularity::ForeignRoot& root, std::string_view path) {
    std::vector<uint64_t> trail{root.root()};  // the directories walked through, for ".."
    std::vector<std::string> left = components(path);
    std::reverse(left.begin(), left.end());
    int links = 0;
    while (!left.empty()) {
        const std::string name = std::move(left.back());
        left.pop_back();
        if ((root.stat(trail.back()).mode & S_IFMT) != S_IFDIR) return SG_NO_NODE;
        if (name == "..") {
            if (trail.size() > 1) trail.pop_back();
            continue;
        }
        const uint64_t node = root.lookup(trail.back(), name);
        if (node == SG_NO_NODE) return node;
        if ((root.stat(node).mode & S_IFMT) != S_IFLNK) {
            trail.push_back(node);
            continue;
        }
        if (++links > max_links) return SG_NO_NODE;
        const std::string target = root.link_target(node);
        if (!target.empty() && target[0] == '/') trail.resize(1);
        auto more = components(target);
        left.insert(left.end(), more.rbegin(), more.rend());
    }
    return trail.back();
}

std::optional<std::string> read_text_file(const singularity::ForeignRoot& root, std::string_view path) {
    const uint64_t node = resolve_inside(root, path);
    if (node == SG_NO_NODE) return std::nullopt;
    const sg_attr attr = root.stat(node);
    if ((attr.mode & S_IFMT) != S_IFREG) return std::nullopt;
    if (attr.size > max_text)
        throw Error(Code::limit, "/" + std::string(path) + " in the image has " + std::to_string(attr.size) +
                                     " bytes, more than the limit of " + std::to_string(max_text));
    std::string out(static_cast<size_t>(attr.size), '\0');
    uint64_t done = 0;
    while (done < out.size()) {
        const uint64_t got = root.read(node, done, out.data() + done, out.size() - done);
        if (got == 0) break;
        done += got;
    }
    out.resize(static_cast<size_t>(done));
    return out;
}

std::vector<std::string> names_in(const singularity::ForeignRoot& root, std::string_view path) {
    std::vector<std::string> out;
    const uint64_t node = resolve_inside(root, path);
    if (node == SG_NO_NODE || (root.stat(node).mode & S_IFMT) != S_IFDIR) return out;
    root.list(node, [&](std::string_view name, uint64_t, uint32_t) {
        if (out.size() == max_names)
            throw Error(Code::limit, "/" + std::string(path) + " in the image holds more than " +
                                         std::to_string(max_names) + " names");
        out.emplace_back(name);
        return true;
    });
    std::sort(out.begin(), out.end());
    return out;
}

Attributes read_attributes(const singularity::ForeignRoot& root, std::vector<std::string>* problems) {
    Attributes a;
    a.labels = read_labels(root, ".singularity.d/labels.json", problems);
    a.runscript = text_of(root, ".singularity.d/runscript");
    a.startscript = text_of(root, ".singularity.d/startscript");
    a.test = text_of(root, ".singularity.d/test");
    a.helpfile = text_of(root, ".singularity.d/runscript.help");
    a.deffile = text_of(root, ".singularity.d/Singularity");
    read_environment(root, ".singularity.d/env", a.environment);
    if (resolve_inside(root, ".singularity.d") == SG_NO_NODE) {
        // Before 2.3 there were only these two.
        a.runscript = text_of(root, "singularity");
        if (const std::string text = text_of(root, "environment"); !text.empty()) a.environment["/environment"] = text;
    }
    for (const std::string& name : names_in(root, "scif/apps")) {
        const std::string base = "scif/apps/" + name + "/scif";
        const uint64_t node = resolve_inside(root, base);
        if (node == SG_NO_NODE || (root.stat(node).mode & S_IFMT) != S_IFDIR) continue;
        AppAttributes& app = a.apps[name];
        read_environment(root, base + "/env", app.environment);
        app.labels = read_labels(root, base + "/labels.json", problems);
        app.runscript = text_of(root, base + "/runscript");
        app.startscript = text_of(root, base + "/startscript");
        app.test = text_of(root, base + "/test");
        app.helpfile = text_of(root, base + "/runscript.help");
    }
    return a;
}

}  // namespace sg
