// The process of a BuildSession (session.hpp).
#pragma once
#include <sys/types.h>

#include <string>

#include "build/session.hpp"

namespace sg {

namespace session_event {
inline constexpr char map = 'u';            // made its user namespace; the answer is 'y' (mapped) or 'n' (map it yourself)
inline constexpr char labels = 'l';         // the text of $SINGULARITY_LABELS
inline constexpr char environment = 'e';    // the text of $SINGULARITY_ENVIRONMENT
inline constexpr char metadata = 'm';       // what the image says of itself then (BaseMetadata::packed)
inline constexpr char unpacked = 'p';       // no overlay: the changes are the whole root file system
inline constexpr char no_owners = 'o';      // every file belongs to the user; why no others can be recorded
inline constexpr char done = 'd';           // the scripts are done; the changes follow in the pipe
inline constexpr char ended = 'x';          // all was sent
inline constexpr char failure = 'f';        // an sg_error
inline constexpr char script_failed = 's';  // a wait(2) status (4 bytes) and the section's name
}  // namespace session_event

struct SessionEnds {
    pid_t parent;
    int events, tar, out, err;
};

[[noreturn]] void run_session_child(const SessionPlan& plan, const SessionEnds& ends, const sg_call* call);

// Everything in the directory, whoever's it is.
void remove_below(const std::string& directory);

}  // namespace sg
