#include "plugin/loader.hpp"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "base/trusted_path.hpp"
#include "plugin/crash_guard.hpp"
#include "plugin/object_file.hpp"

namespace sg {

namespace {

constexpr char entry_name[] = "singularity_plugin";
constexpr uint32_t newest_asked = 8;  // how far a newer version of a table is looked for, for the message

}  // namespace

void LoadedPlugin::refuse(const std::string& why, uint32_t line, const std::string& hint) const {
    throw Error(Code::unsupported, where(line) + ": " + why, hint);
}

std::string LoadedPlugin::where(uint32_t line) const {
    return "plugin " + name_ + " (" + manifest_ + ":" + std::to_string(line) + ", registered in " + registered_ + ")";
}

LoadedPlugin::LoadedPlugin(const PluginView& p, const sg_host* host)
    : name_(p.name), manifest_(p.manifest), object_(p.object),
      registered_(std::string(p.registered_in) + ":" + std::to_string(p.registered_line)) {
    // Errors about the object as a whole point at the manifest's first line.
    struct stat st {}, manifest {};
    if (stat(object_.c_str(), &st) != 0)
        refuse("its object " + object_ + " cannot be used: " + std::strerror(errno), 1,
               "Install the plugin again, or remove its registration.");
    // Code that somebody else could have put there is not run.
    if (stat(manifest_.c_str(), &manifest) != 0) manifest.st_uid = 0;
    const bool trusted_owner = st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == manifest.st_uid;
    if (!trusted_owner || (st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != 0 && st.st_gid != st.st_uid))
        refuse("its object " + object_ + " is not loaded, because other users may write to it", 1, "Run: chmod go-w " + object_);

    const std::string unsafe = unsafe_way(object_, {manifest.st_uid}, Way::parent);
    if (!unsafe.empty()) refuse("its object " + object_ + " is not loaded, because of " + unsafe, 1);

    install_crash_guard();
    const PluginScope scope(name_, object_);
    void* handle = dlopen(object_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char* told = dlerror();
        const std::string why = told ? told : object_, defect = object_defect(object_);
        refuse("its object cannot be loaded: " + (defect.empty() ? why : object_ + " " + defect), 1);
    }
    watch_object(handle, name_, object_);
    using Entry = const sg_plugin* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(handle, entry_name));
    if (!entry) refuse("its object " + object_ + " has no symbol " + entry_name, 1);
    plugin_ = entry();
    if (!plugin_ || plugin_->magic != SG_PLUGIN_MAGIC)
        refuse("its object " + object_ + " is no plugin (wrong magic)", 1);
    if (plugin_->abi > SG_ABI_VERSION || plugin_->abi == 0)
        refuse("its object " + object_ + " was built for plugin ABI " + std::to_string(plugin_->abi) + "; this program has " +
                   std::to_string(SG_ABI_VERSION),
               1, "Use a version of the plugin for this program, or update the program.");
    if (!plugin_->name || name_ != plugin_->name)
        refuse("its object " + object_ + " calls itself '" + (plugin_->name ? plugin_->name : "") + "'", 1);
    if (!plugin_->table) refuse("its object " + object_ + " gives no tables", 1);
    if (plugin_->start) {
        try {
            singularity::check([&](sg_error* e) { return plugin_->start(host, e); });
        } catch (const Error& e) {
            throw e.within(where(1) + ": cannot start");
        }
    }
}

const void* LoadedPlugin::find(std::string_view capability, const char* table, uint32_t version) const {
    const PluginScope scope(name_, object_);
    return plugin_->table(std::string(capability).c_str(), table, version);
}

const void* LoadedPlugin::need(std::string_view capability, const char* table, uint32_t line) const {
    if (const void* found = find(capability, table)) return found;
    const PluginScope scope(name_, object_);
    for (uint32_t version = 2; version <= newest_asked; ++version) {
        if (plugin_->table(std::string(capability).c_str(), table, version))
            refuse("its object " + object_ + " has table '" + table + "' only in version " + std::to_string(version) +
                       "; this program knows version 1",
                   line, "Use a version of the plugin for this program, or update the program.");
    }
    refuse("its object " + object_ + " has no table '" + table + "' for '" + std::string(capability) + "'", line);
}

}  // namespace sg
