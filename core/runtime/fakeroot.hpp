// Who the container's root is for an ordinary user: the best way first (Apptainer's user guide, "Fakeroot feature").
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/user.hpp"

namespace sg::runtime {

struct IdMapping {
    uint32_t container = 0, host = 0, size = 1;
};

struct Fakeroot {
    std::vector<IdMapping> uids, gids;
    std::string note;                // what was chosen and why, for the user; "" = the usual
    // The host's command fakeroot makes changes of owners seem to work where only one id is mapped; "" = not used.
    std::string command, daemon, library;
};

struct FakerootChoice {
    bool use_subordinate_ids = true, use_command = true;
};

// `user` is the caller. Reads the host's files, and tries whether ids can be mapped where something
// looks wrong; changes nothing.
Fakeroot choose_fakeroot(const User& user, const FakerootChoice& choice);

}  // namespace sg::runtime
