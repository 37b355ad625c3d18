// What the supervisor answers to one system call (calls.hpp), and what it records of it.
#pragma once
#include <linux/seccomp.h>

#include <cstdint>
#include <functional>

#include "ownership/calls.hpp"
#include "ownership/credentials.hpp"
#include "ownership/files.hpp"
#include "ownership/target.hpp"

namespace sg::ownership {

struct Answer {
    int64_t value = 0;
    int error = 0;        // an errno: the call failed
    bool let_go = false;  // the kernel carries the call out as it stands
    UniqueFd descriptor;  // the call's result: this file, as the next free number
    uint32_t descriptor_flags = 0;
    // A directory that was read on for the call, and where it stood before: when nobody hears the answer it stands
    // there again.
    UniqueFd directory;
    int64_t position = 0;
};

class Answers {
public:
    Answers(Files& files, Scope scope) : files_(files), scope_(scope) {}

    // The process is the first one of others that ask from now on: what it has mounted was not mounted by them.
    void begin(pid_t process);
    // `waits` says whether the call still waits for an answer; it is asked before anything is read or done.
    Answer answer(const seccomp_notif& asked, const std::function<bool()>& waits);

private:
    Files& files_;
    const Scope scope_;
    CredentialTable credentials_;
    Mounts mounts_;
};

}  // namespace sg::ownership
