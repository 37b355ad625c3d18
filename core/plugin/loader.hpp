// Loads a plugin's object and checks that it is what its manifest says.
#pragma once
#include <singularity/plugin.h>

#include <string>

#include "config/index.hpp"

namespace sg {

// A loaded object; stays loaded until the process ends.
class LoadedPlugin {
public:
    // dlopen, entry, magic, ABI, name, start(host). Throws with the plugin's name, its manifest and line, and
    // the file and line that registered it.
    LoadedPlugin(const PluginView& plugin, const sg_host* host);

    // The table `table` for a capability, or null when it has none.
    const void* find(std::string_view capability, const char* table, uint32_t version = 1) const;
    // The same; throws when there is none. `line` is the capability's in the manifest.
    const void* need(std::string_view capability, const char* table, uint32_t line) const;

    const std::string& name() const { return name_; }

private:
    std::string where(uint32_t line) const;
    [[noreturn]] void refuse(const std::string& why, uint32_t line, const std::string& hint = {}) const;

    std::string name_, manifest_, object_, registered_;
    const sg_plugin* plugin_ = nullptr;
};

}  // namespace sg
