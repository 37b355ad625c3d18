// Where `singularity plugin` keeps plugins and their registrations: in the installation, or in the user's directory.
#pragma once
#include <string>

#include "config/home.hpp"
#include "config/installation.hpp"

namespace sg {

struct PluginPlace {
    bool user = false;
    std::string plugins;        // directories NAME with manifest, object and README.md
    std::string registrations;  // plugins.d

    static PluginPlace of_site(const Installation& installation);
    // Throws Code::permission when the home belongs to somebody else, Code::not_found when there is none.
    static PluginPlace of_user(const Home& home);

    std::string directory(const std::string& name) const { return plugins + "/" + name; }
    std::string registration(const std::string& name) const { return registrations + "/60-" + name + ".yaml"; }
    // Switches a plugin off or on; comes after what registers it.
    std::string switching(const std::string& name) const { return registrations + "/90-" + name + ".yaml"; }
    bool writable() const;
    // Makes both directories, 0755. Throws Code::permission when the caller must not write there, or when others may.
    void make() const;
    // Removes those that are empty, of a user's.
    void tidy() const;
};

// A registration file, whole or not at all (temporary, fsync, rename), mode 0644.
void write_registration(const std::string& path, const std::string& text);
std::string registration_text(const std::string& name);
std::string switching_text(const std::string& name, bool enabled);
// True when there was one.
bool remove_registration(const std::string& path);

}  // namespace sg
