// SPDX-License-Identifier: BSD-3-Clause
// command.hpp: add a verb in C++ (contracts: command.h).
#pragma once
#include <singularity/command.h>
#include <singularity/plugin.hpp>

namespace singularity {

struct Invocation {
    std::string verb, directory;
    std::vector<std::pair<std::string, std::string>> options;
    std::vector<std::string> arguments;

    static Invocation from_c(const sg_invocation& c) {
        Invocation i{c.verb, c.directory, {}, {}};
        for (const sg_pair* p = c.options; p && p->key; ++p) i.options.emplace_back(p->key, p->value);
        for (const char* const* a = c.arguments; a && *a; ++a) i.arguments.emplace_back(*a);
        return i;
    }
};

class Command {
public:
    virtual ~Command() = default;
    virtual int run(const Invocation& invocation, const Host& host) = 0;  // the exit code
};

}  // namespace singularity

namespace singularity::detail {

template <class T>
    requires std::is_base_of_v<Command, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static Command& self = object;
        static const sg_command_v1 functions = {[](const sg_invocation* i, int32_t* exit_code, sg_error* err) {
            return guard(err, [&] { *exit_code = self.run(Invocation::from_c(*i), Host(i->call)); });
        }};
        return table == "command" && version == 1 ? &functions : nullptr;
    }
};

}  // namespace singularity::detail
