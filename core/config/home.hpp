// The user's own directory, and whether it may be used: somebody else's (sudo -E) is only read, and not all of it.
#pragma once
#include <string>

namespace sg {

struct Home {
    std::string path;      // absolute, "" when there is none
    bool trusted = false;  // it belongs to the effective user: registrations may be read, files written
    std::string config;    // PATH/.singularity, "" when there is no home

    // From HOME, else from the password database.
    static Home find();
    static Home at(const std::string& path);
};

}  // namespace sg
