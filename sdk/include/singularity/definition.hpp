// SPDX-License-Identifier: BSD-3-Clause
// definition.hpp: definition files as the host reads them (contracts: definition.h).
#pragma once
#include <singularity/definition.h>
#include <singularity/plugin.hpp>

namespace singularity {

// The JSON document of definition.h. Throws Error.
inline std::string read_definition(const std::string& path, const std::vector<std::pair<std::string, std::string>>& options) {
    const auto& table = detail::need_table<sg_host_definition_v1>("definition");
    detail::PairList pairs;
    const sg_pair* given = pairs.set(options);
    sg_slice out{};
    check([&](sg_error* e) { return table.read(path.c_str(), given, &out, e); });
    const Slice slice(out);
    return std::string(slice.text());
}

}  // namespace singularity
