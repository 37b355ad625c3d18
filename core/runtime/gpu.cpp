#include "runtime/gpu.hpp"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>

#include "base/error.hpp"
#include "runtime/library_cache.hpp"

namespace sg::runtime {
namespace {

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string directory_of(const std::string& path) { return path.substr(0, std::max<size_t>(path.rfind('/'), 1)); }

bool is_file(const std::string& path) {
    struct stat s;
    return ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode);
}

bool exists(const std::string& path) {
    struct stat s;
    return ::stat(path.c_str(), &s) == 0;
}

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> out;
    if (DIR* dir = ::opendir(directory.c_str())) {
        while (const dirent* e = ::readdir(dir))
            if (std::string_view(e->d_name) != "." && std::string_view(e->d_name) != "..") out.emplace_back(e->d_name);
        ::closedir(dir);
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::string real_path(const std::string& path) {
    char text[PATH_MAX];
    return ::realpath(path.c_str(), text) ? std::string(text) : std::string();
}

class Libraries {
public:
    Libraries(const GpuHost& host, HostFiles& to, bool also_32) : host_(host), to_(to), also_32_(also_32) {
        for (const auto& path : to.libraries) names_.insert(base_name(path));
    }

    void add(const std::string& path) {
        if (names_.insert(base_name(path)).second) to_.libraries.push_back(path);
    }

    void find(const std::string& entry) {
        if (entry[0] == '/') {
            if (!add_by_kind(entry)) return;
            // The names under which programs look for it.
            const std::string target = real_path(entry), directory = directory_of(entry);
            for (const auto& name : names_in(directory))
                if (name.find(".so") != std::string::npos && real_path(directory + "/" + name) == target) add_by_kind(directory + "/" + name);
            return;
        }
        for (const auto& library : cache())
            if (library.name.starts_with(entry)) add_by_kind(library.path);
    }

private:
    bool add_by_kind(const std::string& path) {
        const std::string name = base_name(path);
        if (names_.contains(name) && (!also_32_ || names_32_.contains(name))) return true;
        if (is_own_elf(path)) {
            add(path);
            return true;
        }
        if (!also_32_ || !is_32_bit_elf(path)) return false;
        if (names_32_.insert(name).second) to_.files.push_back({path, "/.singularity.d/libs32/" + name, false, true});
        return true;
    }

    const std::vector<CachedLibrary>& cache() {
        if (!cache_) {
            try {
                cache_ = read_library_cache(host_.library_cache);
            } catch (const Error& e) {
                to_.warnings.push_back(e.message());
                cache_.emplace();
            }
        }
        return *cache_;
    }

    const GpuHost& host_;
    HostFiles& to_;
    const bool also_32_;
    std::set<std::string> names_, names_32_;
    std::optional<std::vector<CachedLibrary>> cache_;
};

std::string find_program(const std::string& name, const std::string& path) {
    for (size_t at = 0; at <= path.size();) {
        const size_t end = std::min(path.find(':', at), path.size());
        const std::string candidate = path.substr(at, end - at) + "/" + name;
        if (candidate[0] == '/' && is_file(candidate) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
        at = end + 1;
    }
    return {};
}

// The device number of the GPU with this UUID (or its beginning), from the driver's own files.
std::string minor_of(const std::string& uuid, const GpuHost& host) {
    for (const auto& gpu : names_in(host.drivers)) {
        std::ifstream file(host.drivers + "/" + gpu + "/information");
        std::string line, minor;
        bool found = false;
        while (std::getline(file, line)) {
            const size_t from = line.find_first_not_of(" \t", line.find(':') + 1);
            if (from == std::string::npos) continue;
            if (line.starts_with("GPU UUID")) found = line.compare(from, uuid.size(), uuid) == 0;
            if (line.starts_with("Device Minor")) minor = line.substr(from);
        }
        if (found && !minor.empty()) return minor;
    }
    return {};
}

bool is_number(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::vector<std::string> read_gpu_list(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw_errno("cannot read the list of GPU files", path);
    std::vector<std::string> out;
    for (std::string line; std::getline(file, line);) {
        line.erase(std::min(line.find('#'), line.size()));
        const size_t from = line.find_first_not_of(" \t\r"), to = line.find_last_not_of(" \t\r");
        if (from != std::string::npos) out.push_back(line.substr(from, to - from + 1));
    }
    return out;
}

void find_gpu_files(const std::vector<std::string>& entries, const GpuHost& host, HostFiles& to, bool also_32) {
    Libraries libraries(host, to, also_32);
    // In a container that has them already, they are nowhere else.
    for (const auto& name : names_in(host.outer_libraries)) libraries.add(host.outer_libraries + "/" + name);
    for (const auto& entry : entries) {
        if (entry.find(".so") != std::string::npos) {
            libraries.find(entry);
        } else if (entry[0] == '/') {
            if (is_file(entry)) to.files.push_back({entry, entry, false, true});
        } else if (entry.find('/') == std::string::npos) {
            if (const std::string path = find_program(entry, host.path); !path.empty()) to.files.push_back({path, "/usr/bin/" + entry, false, true});
        }
    }
}

void find_nvidia_devices(const std::string& visible, const GpuHost& host, HostFiles& to) {
    const bool all = visible.empty() || visible == "all" || visible == "void";
    std::set<std::string> wanted;
    for (size_t at = 0; !all && visible != "none" && at <= visible.size();) {
        const size_t end = std::min(visible.find(',', at), visible.size());
        std::string one = visible.substr(at, end - at);
        at = end + 1;
        if (one.empty()) continue;
        if (!is_number(one)) {
            const std::string minor = minor_of(one, host);
            if (minor.empty()) to.warnings.push_back("NVIDIA_VISIBLE_DEVICES: no GPU " + one + " on this host");
            one = minor;
        }
        wanted.insert("nvidia" + one);
    }
    for (const auto& name : names_in(host.devices)) {
        if (!name.starts_with("nvidia")) continue;
        // nvidia0, nvidia1: the GPUs; nvidiactl, nvidia-uvm, nvidia-caps: what all of them need.
        if (!all && is_number(std::string_view(name).substr(6)) && !wanted.contains(name)) continue;
        to.devices.push_back(host.devices + "/" + name);
    }
    const std::string socket = host.sockets + "/nvidia-persistenced/socket";
    if (exists(socket)) to.files.push_back({socket, "/var/run/nvidia-persistenced/socket", false, true});
}

void find_amd_devices(const GpuHost& host, HostFiles& to) {
    for (const char* name : {"dri", "kfd"})
        if (exists(host.devices + "/" + name)) to.devices.push_back(host.devices + "/" + name);
}

}  // namespace sg::runtime
