// Which process a named container is: a file in the container's directory, and whether that process lives.
//
// A process id alone says nothing, as the kernel gives it to others later: the time of its start (in ticks since
// the boot), the boot and the PID namespace in which the number counts belong to it.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "family/system.hpp"

namespace launcher {

struct Identity {
    pid_t pid = 0;
    unsigned long long start = 0;        // ticks since boot
    std::string boot;                    // /proc/sys/kernel/random/boot_id
    unsigned long long pid_namespace = 0;  // inode of the namespace in which `pid` counts
    std::vector<std::string> groups;     // directories of control groups to remove after it
    std::string network;                 // what its networks' keeper owes (finish_network), "" = nothing
    std::string address;                 // in its first network
    bool limited = false;                // it has control groups of its own
    bool own_processes = true;           // it is the first process of a PID namespace of its own
};

enum class Life {
    running,
    elsewhere,  // its number counts in another PID namespace of this boot: nothing can be known from here
    dead
};

Identity identity_of(pid_t pid);  // throws when there is no such process
Life life_of(const Identity& who);

// In `directory`. Written whole or not at all. read_identity throws Code::not_found when nothing was written there.
void write_identity(const std::string& directory, const Identity& who);
Identity read_identity(const std::string& directory);
void remove_identity(const std::string& directory);

// Of a container that runs here, or Code::not_found, Code::unsupported (elsewhere) for people.
Identity need_running(const std::string& directory);
// The container's name: the last part of its directory.
std::string name_of(const std::string& directory);

}  // namespace launcher
