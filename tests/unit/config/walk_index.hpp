// Follows every reference of an index: damage must end in Error, never outside of the bytes.
#pragma once
#include "config/index.hpp"
#include "config/settings.hpp"

inline size_t walk_index(const sg::Index& index) {
    size_t sum = index.stamp().size();
    for (const auto& f : index.files()) sum += f.path.size() + f.size;
    for (const auto w : index.warnings()) sum += w.size();
    for (uint32_t i = 0; i < index.key_count(); ++i) {
        const auto k = index.key(i);
        sum += k.doc.size() + index.find_key(k.name).has_value();
    }
    for (const auto& [name, key] : index.variables()) sum += name.size() + key + index.find_variable(name).has_value();
    for (uint32_t i = 0; i < index.plugin_count(); ++i) {
        const auto p = index.plugin(i);
        sum += p.object.size() + index.find_plugin(p.name).has_value();
        for (const auto& c : index.capabilities_of(i)) sum += c.magics.size();
    }
    for (uint32_t i = 0; i < index.capability_count(); ++i) {
        const auto c = index.capability(i);
        sum += index.find(c.kind, c.name).has_value() + index.options_of(c.name).size();
        for (const auto& v : index.commands(c)) sum += v.options.size();
    }
    for (const auto& a : index.cache_areas()) sum += a.title.size();
    return sum + index.absent("none").size() + index.options_of("build").size();
}
