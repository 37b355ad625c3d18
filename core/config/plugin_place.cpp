#include "config/plugin_place.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.hpp"
#include "base/trusted_path.hpp"
#include "base/unique_fd.hpp"

namespace sg {

namespace {

void make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        // What umask leaves; never writable by others, whatever it says.
        if (mkdir(part.c_str(), 0755) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            throw_errno("cannot make", part);
        if (slash == std::string::npos) break;
    }
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) throw_errno("cannot make", path);
}

void sync_directory_of(const std::string& path) {
    const UniqueFd fd(open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) fsync(fd.get());
}

}  // namespace

PluginPlace PluginPlace::of_site(const Installation& i) { return {false, i.plugin_dir, i.conf_dir + "/plugins.d"}; }

PluginPlace PluginPlace::of_user(const Home& home) {
    if (home.path.empty()) throw Error(Code::not_found, "there is no home directory to keep plugins in", "Set HOME.");
    if (!home.trusted)
        throw Error(Code::permission,
                    "no plugin is kept in " + home.config + ", because that home belongs to somebody else",
                    "Set HOME to a directory of your own.");
    return {true, home.config + "/plugins", home.config + "/plugins.d"};
}

bool PluginPlace::writable() const {
    return access(plugins.c_str(), W_OK | X_OK) == 0 && access(registrations.c_str(), W_OK | X_OK) == 0;
}

void PluginPlace::make() const {
    for (const auto& directory : {plugins, registrations}) {
        try {
            make_directories(directory);
            if (access(directory.c_str(), W_OK | X_OK) != 0) throw_errno("cannot write to", directory);
        } catch (const Error& e) {
            if (user) throw;
            throw Error(e.code(), e.message(),
                        "Plugins of all users are its administrator's to change; --user keeps one for yourself.");
        }
        const std::string unsafe = unsafe_way(directory + "/file", {}, Way::whole);
        if (!unsafe.empty())
            throw Error(Code::permission, "no plugin is kept in " + directory + ", because of " + unsafe,
                        "Run: chmod go-w " + unsafe.substr(0, unsafe.find(',')));
    }
}

void PluginPlace::tidy() const {
    if (!user) return;
    rmdir(plugins.c_str());
    rmdir(registrations.c_str());
}

void write_registration(const std::string& path, const std::string& text) {
    const size_t slash = path.rfind('/');
    // Begins with a dot, so that it is never read as a registration.
    std::string temporary = path.substr(0, slash + 1) + "." + path.substr(slash + 1) + ".XXXXXX";
    UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) throw_errno("cannot write", path);
    bool good = fchmod(fd.get(), 0644) == 0;
    for (size_t done = 0; good && done < text.size();) {
        const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) done += static_cast<size_t>(n);
    }
    good = good && fsync(fd.get()) == 0 && rename(temporary.c_str(), path.c_str()) == 0;
    if (!good) {
        const int failure = errno;
        unlink(temporary.c_str());
        errno = failure;
        throw_errno("cannot write", path);
    }
    sync_directory_of(path);
}

std::string registration_text(const std::string& name) {
    return "# Written by 'singularity plugin install'; 'singularity plugin remove " + name +
           "' takes it away.\nplugins:\n  - manifest: \"" + name + "/plugin.yaml\"\n";
}

std::string switching_text(const std::string& name, bool enabled) {
    const std::string word = enabled ? "enable" : "disable", other = enabled ? "disable" : "enable";
    return "# Written by 'singularity plugin " + word + "'; 'singularity plugin " + other + " " + name +
           "' changes it.\nplugins:\n  - {name: \"" + name + "\", enabled: " + (enabled ? "yes" : "no") +
           ", optional: yes}\n";
}

bool remove_registration(const std::string& path) {
    if (unlink(path.c_str()) == 0) {
        sync_directory_of(path);
        return true;
    }
    if (errno != ENOENT && errno != ENOTDIR) throw_errno("cannot remove", path);
    return false;
}

}  // namespace sg
