// A control group (version 2) for each build, below the hub's own: limits that the kernel keeps, in memory file systems
// too.
#pragma once
#include <memory>
#include <string>

#include "hub/builder/options.hpp"

namespace hub {

class BuildGroups {
public:
    // nullptr when `group`, a directory, is not ours to divide (systemd: Delegate=), with the reason in `why`. The hub
    // moves into a group of its own below it: one that has processes cannot be divided (cgroups.rst, "No Internal
    // Process Constraint").
    static std::unique_ptr<BuildGroups> make(const std::string& group, std::string& why);
    // The group of this process; "" where there is no version 2.
    static std::string own_group();

    // Makes it with the limits of one build; its directory. Throws Code::io.
    std::string add(const std::string& id, const BuilderOptions& options) const;
    // Ends what is in there, and removes it.
    void remove(const std::string& id) const;

private:
    explicit BuildGroups(std::string group) : group_(std::move(group)) {}
    std::string group_;
};

}  // namespace hub
