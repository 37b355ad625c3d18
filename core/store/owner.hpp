// Who a process is, so that others can tell whether it still lives: on this host at once, from elsewhere not at all.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace sg {

// A process as it is named in files of a shared directory: "BOOT.NAMESPACE.PID.START", letters, digits, '-' and
// dots. BOOT is the kernel's boot id, NAMESPACE its PID namespace, START its start in clock ticks since boot.
struct Owner {
    std::string boot;
    unsigned long long pid_namespace = 0, start = 0;
    int pid = 0;

    static const Owner& self();
    static std::optional<Owner> parse(std::string_view text);
    std::string text() const;
    std::string short_text() const;  // with the first part of BOOT, for names of files; `parse` reads it

    enum class State { alive, dead, unknown };
    // unknown: of another host or another PID namespace.
    State state() const;
    bool same_host() const;
};

}  // namespace sg
