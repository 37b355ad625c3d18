#include "cli/plugin_create.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "cli/print.hpp"

namespace sg {

namespace {

// Sorted; empty when there is no such directory.
std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(directory.c_str()), closedir);
    while (const dirent* entry = open ? readdir(open.get()) : nullptr)
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    std::sort(names.begin(), names.end());
    return names;
}

// A directory with plain files that is gone at the end unless it was kept.
class Draft {
public:
    explicit Draft(std::string pattern) : path_(std::move(pattern)) {
        if (!mkdtemp(path_.data())) throw_errno("cannot make", path_);
    }
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    ~Draft() {
        if (path_.empty()) return;
        for (const auto& name : names_in(path_)) unlink((path_ + "/" + name).c_str());
        rmdir(path_.c_str());
    }
    void write(const std::string& name, const std::string& text) const {
        const std::string file = path_ + "/" + name;
        std::ofstream out(file, std::ios::binary);
        out << text;
        out.close();
        if (!out) throw_errno("cannot write", file);
    }
    void keep_as(const std::string& name) {
        const mode_t mask = umask(0);
        umask(mask);
        if (chmod(path_.c_str(), 0777 & ~mask) != 0) throw_errno("cannot set the mode of", path_);
        // Never over what somebody made meanwhile.
        if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) != 0) throw_errno("cannot make", name);
        path_.clear();
    }

private:
    std::string path_;
};

std::string filled_in(std::string text, const std::string& name) {
    constexpr std::string_view place = "@NAME@";
    for (size_t at = 0; (at = text.find(place, at)) != std::string::npos; at += name.size()) text.replace(at, place.size(), name);
    return text;
}

std::string read_template(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    if (in.bad() || text.empty()) throw_errno("cannot read the template", path);
    return text;
}

void check_name(const std::string& name, const Index& index) {
    const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    if (name.size() > 64 || name[0] < 'a' || name[0] > 'z' || !std::all_of(name.begin(), name.end(), allowed))
        throw Error(Code::usage, "a plugin cannot be called '" + name + "'", "Use a-z, 0-9 and '-', a letter first, at most 64 of them");
    if (const auto there = index.find_plugin(name))
        throw Error(Code::exists, "a plugin '" + name + "' is registered already: " + std::string(there->manifest), "Choose another name");
}

}  // namespace

void create_plugin(const NewPlugin& plugin, Session& session) {
    check_name(plugin.name, session.plugins.index());
    const std::string templates = session.installation.prefix + "/share/singularity/templates";
    const std::string wanted = plugin.kind + "-" + plugin.language;
    const auto known = names_in(templates);
    if (std::find(known.begin(), known.end(), wanted) == known.end()) {
        std::string kinds, in_c;
        for (const auto& k : known) {
            std::string& list = k.ends_with("-c") ? in_c : kinds;
            list += (list.empty() ? "" : ", ") + k.substr(0, k.rfind('-'));
        }
        throw Error(Code::usage,
                    plugin.kind.empty() ? "'plugin create' needs --kind"
                                        : "no template of kind '" + plugin.kind + "' in " + plugin.language,
                    known.empty() ? "No templates are installed in " + templates
                                  : "Kinds: " + kinds + "; with --lang c: " + in_c);
    }
    struct stat there;
    if (lstat(plugin.name.c_str(), &there) == 0)
        throw Error(Code::exists, "'" + plugin.name + "' exists already", "Choose another name, or another directory to stand in");
    Draft draft("." + plugin.name + ".XXXXXX");
    const std::string from = templates + "/" + wanted;
    for (const auto& name : names_in(from)) draft.write(name, filled_in(read_template(from + "/" + name), plugin.name));
    draft.keep_as(plugin.name);
    print("Created " + plugin.name + ". Build and test it:\n  cmake -S " + plugin.name + " -B " + plugin.name + "/build -DCMAKE_PREFIX_PATH=" +
          session.installation.prefix + "\n  cmake --build " + plugin.name + "/build && ctest --test-dir " + plugin.name +
          "/build\nand install it for yourself; its README.md says how it is used:\n  singularity plugin install --user " + plugin.name + "/build\n");
}

}  // namespace sg
