// SPDX-License-Identifier: BSD-3-Clause
/*
 * plugin.hpp: the entry of a C++ plugin.
 *
 *     class Mine : public singularity::BootstrapSource { ... };
 *     SINGULARITY_PLUGIN(mine, Mine)
 *
 * Several classes may follow the name. A class that serves only some capabilities of the manifest has
 * `static bool serves(std::string_view capability)`. Include the header of each interface first
 * (bootstrap.hpp, format.hpp, ...): its class then has its table.
 */
#pragma once
#include <singularity/host.hpp>

#ifndef SINGULARITY_PLUGIN_VERSION
#define SINGULARITY_PLUGIN_VERSION "1.0.0"
#endif

namespace singularity::detail {

// Pairs as values, and the array that C reads.
struct PairList {
    std::vector<std::pair<std::string, std::string>> texts;
    std::vector<sg_pair> pairs;
    const sg_pair* set(std::vector<std::pair<std::string, std::string>> from) {
        texts = std::move(from);
        pairs.clear();
        for (const auto& [k, v] : texts) pairs.push_back({k.c_str(), v.c_str()});
        pairs.push_back({nullptr, nullptr});
        return pairs.data();
    }
};

template <class T>
bool serves(std::string_view capability) {
    if constexpr (requires { T::serves(capability); })
        return T::serves(capability);
    else
        return true;
}

// How a class answers for tables; each interface header specialises it for its base class.
template <class T>
struct TableOf {
    static const void* find(std::string_view table, uint32_t version) { return T::table(table, version); }
};

template <class... Ts>
const void* find_table(const char* capability, const char* table, uint32_t version) {
    const void* found = nullptr;
    (void)((serves<Ts>(capability) && (found = TableOf<Ts>::find(table, version))) || ...);
    return found;
}

}  // namespace singularity::detail

#define SINGULARITY_PLUGIN(NAME, ...)                                                                          \
    extern "C" SG_EXPORT const sg_plugin* singularity_plugin(void) {                                           \
        static const sg_plugin plugin = {                                                                      \
            SG_PLUGIN_MAGIC,                                                                                   \
            SG_ABI_VERSION,                                                                                    \
            #NAME,                                                                                             \
            SINGULARITY_PLUGIN_VERSION,                                                                        \
            [](const sg_host* host, sg_error*) -> int32_t {                                                    \
                singularity::detail::the_host = host;                                                          \
                return SG_OK;                                                                                  \
            },                                                                                                 \
            [](const char* capability, const char* table, uint32_t version) -> const void* {                   \
                return singularity::detail::find_table<__VA_ARGS__>(capability, table, version);               \
            }};                                                                                                \
        return &plugin;                                                                                        \
    }
