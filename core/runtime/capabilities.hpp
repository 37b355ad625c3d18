// Linux capabilities by name, which of them a container's process gets, and the file that says what users may ask
// for (capabilities(7)).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/user.hpp"

namespace sg::runtime {

using CapabilitySet = uint64_t;  // bit N: capability number N

CapabilitySet all_capabilities();  // those with a name here
// "CAP_NET_RAW,sys_admin,all": any case, with or without the prefix. Throws Code::usage with the nearest name.
CapabilitySet parse_capabilities(std::string_view text);
std::vector<std::string> capability_names(CapabilitySet set);  // "CAP_CHOWN", in their numbers' order
std::string_view describe_capability(std::string_view name);   // one sentence; "" when unknown

// What the file "capability.json" holds: {"users": {NAME: ["CAP_X"]}, "groups": {NAME: [...]}}.
class CapabilityFile {
public:
    enum class Kind { user, group };

    explicit CapabilityFile(std::string path) : path_(std::move(path)) {}
    // A missing file is an empty one. Throws Code::invalid for one that cannot be understood.
    void load();
    // Atomic, mode 0644. Throws Code::permission for whoever may not.
    void save() const;

    CapabilitySet of(Kind kind, const std::string& name) const;
    void set(Kind kind, const std::string& name, CapabilitySet capabilities);
    struct Entry {
        Kind kind;
        std::string name;
        CapabilitySet capabilities;
    };
    const std::vector<Entry>& entries() const { return entries_; }
    // The user's own and his groups'.
    CapabilitySet allowed(const User& user) const;

private:
    std::string path_;
    std::vector<Entry> entries_;
};

}  // namespace sg::runtime
