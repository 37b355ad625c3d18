// SPDX-License-Identifier: BSD-3-Clause
// hook.hpp: watch or forbid in C++ (contracts: hook.h). Throw Code::veto to forbid.
#pragma once
#include <singularity/hook.h>
#include <singularity/plugin.hpp>

namespace singularity {

class Hook {
public:
    virtual ~Hook() = default;
    virtual void notify(const sg_event& event) = 0;
};

}  // namespace singularity

namespace singularity::detail {

template <class T>
    requires std::is_base_of_v<Hook, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static Hook& self = object;
        static const sg_hook_v1 functions = {
            [](const sg_event* event, sg_error* err) { return guard(err, [&] { self.notify(*event); }); }};
        return table == "hook" && version == 1 ? &functions : nullptr;
    }
};

}  // namespace singularity::detail
