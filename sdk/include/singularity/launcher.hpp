// SPDX-License-Identifier: BSD-3-Clause
// launcher.hpp: write a launcher in C++ (contracts: launcher.h).
#pragma once
#include <singularity/format.h>
#include <singularity/launcher.h>
#include <singularity/plugin.hpp>

namespace singularity {

class Launcher {
public:
    virtual ~Launcher() = default;
    virtual void become(const sg_launch& launch) = 0;  // returns never; throws
    virtual int run(const sg_launch& launch) = 0;      // wait status
    virtual int start(const sg_launch&, const std::string&) { return refuse("start"), 0; }
    virtual void join(const sg_launch&, const std::string&) { refuse("join"); }
    virtual void signal(const std::string&, int) { refuse("signal"); }
    virtual std::string state(const std::string&) { return refuse("state"), std::string(); }
    virtual void remove(const std::string&) { refuse("remove"); }

private:
    static void refuse(const char* what) {
        throw Error(Code::unsupported, std::string("this launcher cannot ") + what + " named containers");
    }
};

}  // namespace singularity

namespace singularity::detail {

template <class T>
    requires std::is_base_of_v<Launcher, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static Launcher& self = object;
        static const sg_launcher_v1 functions = {
            [](const sg_launch* l, sg_error* err) { return guard(err, [&] { self.become(*l); }); },
            [](const sg_launch* l, int32_t* status, sg_error* err) { return guard(err, [&] { *status = self.run(*l); }); },
            [](const sg_launch* l, const char* name, int32_t* pid, sg_error* err) {
                return guard(err, [&] { *pid = self.start(*l, name); });
            },
            [](const sg_launch* l, const char* name, sg_error* err) { return guard(err, [&] { self.join(*l, name); }); },
            [](const char* name, int32_t s, sg_error* err) { return guard(err, [&] { self.signal(name, s); }); },
            [](const char* name, char* out, uint64_t capacity, sg_error* err) {
                return guard(err, [&] {
                    const std::string text = self.state(name);
                    if (text.size() + 1 > capacity) throw Error(Code::limit, "the state is longer than the buffer for it");
                    std::memcpy(out, text.c_str(), text.size() + 1);
                });
            },
            [](const char* name, sg_error* err) { return guard(err, [&] { self.remove(name); }); }};
        return table == "launcher" && version == 1 ? &functions : nullptr;
    }
};

}  // namespace singularity::detail
