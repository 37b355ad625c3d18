#include "runtime/cdi.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "runtime/mounts.hpp"

namespace sg::runtime {

const std::vector<std::string> cdi_directories = {"/etc/cdi", "/var/run/cdi"};

namespace {

struct Device {
    std::string file;
    YAML::Node edits, common;  // of the device, and of all devices of its file
};

bool ends_with(const std::string& name, std::string_view end) { return name.size() > end.size() && std::string_view(name).substr(name.size() - end.size()) == end; }

std::vector<std::string> files_in(const std::string& directory) {
    std::vector<std::string> out;
    if (DIR* dir = ::opendir(directory.c_str())) {
        while (const dirent* e = ::readdir(dir)) {
            const std::string name = e->d_name;
            if (ends_with(name, ".json") || ends_with(name, ".yaml")) out.push_back(directory + "/" + name);
        }
        ::closedir(dir);
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::string text(const YAML::Node& node, const char* key, std::string otherwise = {}) {
    const YAML::Node v = node[key];
    if (!v) return otherwise;
    if (!v.IsScalar()) throw Error(Code::corrupt, std::string("'") + key + "' is no text");
    return v.as<std::string>();
}

std::string path(const YAML::Node& node, const char* key, std::string otherwise = {}) {
    const std::string out = text(node, key, std::move(otherwise));
    if (out.empty() || out[0] != '/') throw Error(Code::corrupt, std::string("'") + key + "' is no absolute path: '" + out + "'");
    return clean_path(out);
}

// Null when there is none: a node that is not there cannot be copied.
YAML::Node member(const YAML::Node& node, const char* key) {
    const YAML::Node v = node[key];
    return v ? v : YAML::Node();
}

void read_file(const std::string& file, std::map<std::string, Device>& devices) {
    const YAML::Node top = YAML::LoadFile(file);
    if (!top.IsMap()) throw Error(Code::corrupt, "it is no mapping");
    const std::string kind = text(top, "kind");
    if (kind.find('/') == std::string::npos) throw Error(Code::corrupt, "'kind' is not VENDOR/CLASS: '" + kind + "'");
    const YAML::Node list = top["devices"];
    if (!list || !list.IsSequence()) throw Error(Code::corrupt, "it has no list 'devices'");
    for (const auto& d : list) {
        if (!d.IsMap()) throw Error(Code::corrupt, "a device is no mapping");
        devices[kind + "=" + text(d, "name")] = {file, member(d, "containerEdits"), member(top, "containerEdits")};
    }
}

void apply(const YAML::Node& edits, HostFiles& to) {
    if (!edits || edits.IsNull()) return;
    if (!edits.IsMap()) throw Error(Code::corrupt, "'containerEdits' is no mapping");
    for (const auto& v : edits["env"]) {
        const std::string pair = v.as<std::string>();
        const size_t equals = pair.find('=');
        if (equals == std::string::npos || equals == 0) throw Error(Code::corrupt, "'" + pair + "' in 'env' is not NAME=VALUE");
        to.environment.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    }
    for (const auto& n : edits["deviceNodes"]) {
        const std::string inside = path(n, "path"), outside = path(n, "hostPath", inside);
        if (inside == outside && inside.starts_with("/dev/"))
            to.devices.push_back(inside);
        else
            to.files.push_back({outside, inside, false, false});
    }
    for (const auto& m : edits["mounts"]) {
        HostFile f;
        f.source = path(m, "hostPath");
        f.destination = path(m, "containerPath");
        struct stat s;
        f.directory = ::stat(f.source.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
        f.read_only = false;
        for (const auto& o : m["options"]) f.read_only = f.read_only || o.as<std::string>() == "ro";
        to.files.push_back(std::move(f));
    }
    if (edits["hooks"] && edits["hooks"].size() > 0)
        to.warnings.push_back("the device's hooks are not run: they are programs for an engine with more rights");
}

}  // namespace

void find_cdi_devices(const std::vector<std::string>& wanted, const std::vector<std::string>& directories, HostFiles& to) {
    std::map<std::string, Device> known;
    std::string broken;
    for (const auto& directory : directories)
        for (const auto& file : files_in(directory)) {
            std::string why;
            try {
                read_file(file, known);
                continue;
            } catch (const Error& e) {
                why = e.message();
            } catch (const YAML::Exception& e) {
                why = e.what();
            }
            to.warnings.push_back("the CDI file " + file + " is not usable: " + why);
            broken = file;
        }
    std::map<std::string, bool> common_done;
    for (const auto& name : wanted) {
        if (name.find('=') == std::string::npos || name.find('/') == std::string::npos)
            throw Error(Code::usage, "--device " + name + ": not a CDI device", "the form is VENDOR/CLASS=NAME, as nvidia.com/gpu=0");
        const auto it = known.find(name);
        if (it == known.end()) {
            std::string all, places;
            for (const auto& [other, device] : known) all += (all.empty() ? "" : ", ") + other;
            for (const auto& d : directories) places += (places.empty() ? "" : ", ") + d;
            if (!broken.empty() && known.empty()) throw Error(Code::corrupt, "--device " + name + ": no usable CDI file in " + places);
            throw Error(Code::not_found, "--device " + name + ": no such CDI device in " + places, all.empty() ? "there is no CDI file" : "there are: " + all);
        }
        try {
            if (!common_done[it->second.file]) apply(it->second.common, to);
            common_done[it->second.file] = true;
            apply(it->second.edits, to);
        } catch (const Error& e) {
            throw Error(Code::corrupt, "--device " + name + ": " + it->second.file + ": " + e.message());
        } catch (const YAML::Exception& e) {
            throw Error(Code::corrupt, "--device " + name + ": " + it->second.file + ": " + e.what());
        }
    }
}

}  // namespace sg::runtime
