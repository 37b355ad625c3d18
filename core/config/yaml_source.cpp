#include "config/yaml_source.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <set>

#include "base/unique_fd.hpp"
#include "config/schema.hpp"

namespace sg {

namespace {

constexpr size_t largest_file = 8u << 20;  // a list of a thousand plugins takes 100 KB
constexpr int deepest = 16;

void check_depth(const std::string& file, const YAML::Node& node, int depth) {
    if (depth > deepest) wrong(file, node, "is nested too deeply");
}

void flatten_at(const std::string& file, const YAML::Node& map, const std::string& prefix, std::vector<RawValue>& out,
                std::vector<Error>* problems, int depth) {
    check_depth(file, map, depth);
    const auto leaf = [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
        const bool adds = name.size() > 1 && name.back() == '+';
        const std::string own = adds ? name.substr(0, name.size() - 1) : name;
        const std::string full = prefix.empty() ? own : prefix + "." + own;
        if (value.IsMap()) {
            if (adds) wrong(file, key, "'" + full + "+' is a group of keys; a '+' stands behind the name of a list");
            return flatten_at(file, value, full, out, problems, depth + 1);
        }
        RawValue raw{full, file, line_of(key), value.IsSequence(), value.IsNull(), adds, {}, {}};
        if (value.IsScalar() || value.IsSequence()) raw.texts = texts_of(file, value, full.c_str());
        raw.lines.assign(raw.texts.size(), line_of(key));
        if (value.IsSequence())
            for (size_t i = 0; i < raw.texts.size(); ++i) raw.lines[i] = line_of(value[i]);
        out.push_back(std::move(raw));
    };
    each_member(file, map, prefix.empty() ? "a configuration file" : prefix.c_str(),
                [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
                    try {
                        leaf(name, key, value);
                    } catch (const Error& e) {
                        if (!problems) throw;
                        problems->push_back(e);
                    }
                });
}

}  // namespace

std::optional<YAML::Node> YamlSources::read(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) {
        if (errno != ENOENT && errno != ENOTDIR) throw_errno("cannot read", path);
        seen_.push_back({path});
        return std::nullopt;
    }
    struct stat st {};
    if (fstat(fd.get(), &st) != 0) throw_errno("cannot read", path);
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + ": is not a regular file");
    if (std::find(owners_.begin(), owners_.end(), st.st_uid) == owners_.end())
        throw Error(Code::permission, path + ": is not used, because it belongs to another user (uid " + std::to_string(st.st_uid) + ")");
    // Groups that are one user's own (the same number) are no others.
    if ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != 0 && st.st_gid != st.st_uid))
        throw Error(Code::permission, path + ": is not used, because other users may write to it", "Run: chmod go-w " + path);
    if (static_cast<uint64_t>(st.st_size) > largest_file) throw Error(Code::limit, path + ": is larger than 8 MiB");
    std::string bytes(static_cast<size_t>(st.st_size), '\0');
    size_t got = 0;
    while (got < bytes.size()) {
        const ssize_t n = ::read(fd.get(), bytes.data() + got, bytes.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path);
        if (n == 0) break;
        got += static_cast<size_t>(n);
    }
    bytes.resize(got);
    seen_.push_back(state_of(path, st));
    try {
        return YAML::Load(bytes);
    } catch (const YAML::Exception& e) {
        const int line = e.mark.line >= 0 ? e.mark.line + 1 : 1;
        throw Error(Code::invalid, path + ":" + std::to_string(line) + ": " + e.msg);
    }
}

std::vector<std::string> YamlSources::list(const std::string& directory) {
    seen_.push_back(state_of(directory));
    std::vector<std::string> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), closedir);
    if (!dir) {
        if (errno != ENOENT && errno != ENOTDIR) throw_errno("cannot list", directory);
        return out;
    }
    while (const dirent* entry = readdir(dir.get())) {
        const std::string_view name(entry->d_name);
        if (name.size() > 5 && name[0] != '.' && name.ends_with(".yaml")) out.push_back(directory + "/" + entry->d_name);
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::string YamlSources::variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    SourceFile seen;
    seen.path = value ? name + "=" + value : name;
    seen.kind = 3;
    seen_.push_back(std::move(seen));
    return value ? value : "";
}

uint32_t line_of(const YAML::Node& node) {
    const int line = node.Mark().line;
    return line >= 0 ? static_cast<uint32_t>(line) + 1 : 0;
}

std::string at(const std::string& file, const YAML::Node& node) { return file + ":" + std::to_string(line_of(node)); }

void wrong(const std::string& file, const YAML::Node& node, const std::string& what, const std::string& hint) {
    throw Error(Code::invalid, at(file, node) + ": " + what, hint);
}

std::string text_of(const std::string& file, const YAML::Node& node, const char* what) {
    if (!node.IsScalar()) wrong(file, node, std::string(what) + " must be a text");
    const std::string& text = node.Scalar();
    if (text.find('\0') != std::string::npos) wrong(file, node, std::string(what) + " holds a NUL byte");
    return text;
}

std::vector<std::string> texts_of(const std::string& file, const YAML::Node& node, const char* what) {
    if (node.IsScalar()) return {text_of(file, node, what)};
    if (!node.IsSequence()) wrong(file, node, std::string(what) + " must be a list of texts");
    std::vector<std::string> out;
    for (const auto& item : node) out.push_back(text_of(file, item, what));
    return out;
}

bool boolean_of(const std::string& file, const YAML::Node& node, const char* what) {
    if (!node.IsScalar()) wrong(file, node, std::string(what) + " must be yes or no");
    try {
        return canonical(text_of(file, node, what), ValueType::boolean, {}) == "true";
    } catch (const Error& e) {
        if (e.message().starts_with(file)) throw;
        wrong(file, node, std::string(what) + ": " + e.message());
    }
}

int64_t integer_of(const std::string& file, const YAML::Node& node, const char* what) {
    if (!node.IsScalar()) wrong(file, node, std::string(what) + " must be a number");
    try {
        return std::stoll(canonical(text_of(file, node, what), ValueType::integer, {}));
    } catch (const Error& e) {
        if (e.message().starts_with(file)) throw;
        wrong(file, node, std::string(what) + ": " + e.message());
    }
}

void each_member(const std::string& file, const YAML::Node& map, const char* what,
                 const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& visit) {
    if (!map.IsMap()) wrong(file, map, std::string(what) + " must be a map (name: value)");
    std::set<std::string> known;
    for (const auto& member : map) {
        const std::string name = text_of(file, member.first, "a name");
        if (!known.insert(name).second) wrong(file, member.first, "'" + name + "' is set twice");
        visit(name, member.first, member.second);
    }
}

void flatten(const std::string& file, const YAML::Node& map, const std::string& prefix, std::vector<RawValue>& out,
             std::vector<Error>* problems) {
    flatten_at(file, map, prefix, out, problems, 0);
}

}  // namespace sg
