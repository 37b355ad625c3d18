// What a plugin finds again in a later process (singularity/state.h): small texts, ROOT/state/PLUGIN/HASH-OF-KEY, 0600.
//
// A key is held by one process at a time, by a lease: one that was killed on this host loses it at once, one of another
// host that says nothing for a few seconds too. Should both live after all, each has its own work: a state is a help.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "store/lease.hpp"

namespace sg {

// One thread at a time.
class PluginState {
public:
    // `root` is the cache's. null: a process that lives holds the key. Also removes what is over its time, and of more
    // than most_texts the oldest. Throws invalid (the plugin's name), permission, no_space.
    static std::unique_ptr<PluginState> take(const std::string& root, const std::string& plugin, const std::string& key,
                                             uint64_t seconds);

    // The text, unless there is none or its time is over.
    std::optional<std::string> get() const;
    // In one step. Throws limit, permission, no_space.
    void put(std::string_view text) const;
    void forget() const;

    static constexpr size_t most_texts = 64;  // of one plugin

private:
    PluginState(std::string root, std::string path, uint64_t seconds, std::unique_ptr<Lease> lease);
    const std::string root_, path_;
    const uint64_t seconds_;
    const std::unique_ptr<Lease> lease_;
};

// Forgets all of them.
void forget_plugin_states(const std::string& root);

}  // namespace sg
