// What joining a container that runs under a name needs to know of it: a file in its directory.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>

#include "ids.hpp"

namespace oci_runtime {

struct Joinable {
    pid_t monitor = 0;
    std::string id, runtime, session, place;  // the session's directory, the first program's place in the container
    bool crun = false, limits = false;
    std::string home, cwd;          // of the image's USER and WORKDIR; "" = as the LaunchSpec says
    std::optional<ImageUser> user;  // who its process is
    int stop_signal = 0;
};

void write_joinable(const std::string& directory, const Joinable& what);
// Throws Code::not_found, Code::corrupt.
Joinable read_joinable(const std::string& directory);
void remove_joinable(const std::string& directory) noexcept;

// The part that only the monitor knows, as one text for the caller, who takes it in.
std::string joinable_text(const std::string& session, const std::string& home, const std::string& cwd,
                          const ImageUser& user);
void take_text(Joinable& what, const std::string& text);

}  // namespace oci_runtime
