// Where remote.yaml lies.
#pragma once
#include <string>

namespace remotes {

struct Paths {
    std::string
        user;  // ~/.singularity/remote.yaml, or ~/.apptainer/remote.yaml when only that one is there; "" = no home
    std::string system;         // SYSCONFDIR/singularity/remote.yaml of this installation
    std::string old_token;      // ~/.singularity/sylabs-token of Singularity before 3.5
    bool foreign_home = false;  // the home belongs to another user (sudo -E): nothing is written there

    static Paths find();
    static Paths at(const std::string& home, const std::string& program);
};

}  // namespace remotes
