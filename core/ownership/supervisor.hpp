// Owners for the builds of a user whose user namespace has one id: a process beside the container answers those system
// calls of %post that such a namespace refuses (seccomp_unotify(2)) and records what they asked for.
//
//     Supervisor supervisor(work, layer, base);   in the build's user namespace, before its PID namespace is made
//     profile = supervisor.profile();             for linux.seccomp of the LaunchSpec
//     ... %post runs and ends ...
//     OwnerRecord record = supervisor.record();   for write_overlay_tar
//
// Below a mount of FUSE that a program of the build made nothing is answered: its server may be waiting for an answer.
//
// It is no security boundary, and needs to be none: the supervisor does nothing but what the user's own processes in
// that user namespace could do with files themselves, and who changes a path while it is being looked up deceives
// himself only. Static programs, 32-bit x86 and x32 are served like all others; there is no io_uring, and a file that
// openat2 makes with rules of resolution other than RESOLVE_BENEATH and RESOLVE_IN_ROOT is root's. What programs are
// told of owners by stat is not changed unless the scope says so: everything is root's. So a program that copies a
// file's owner makes the copy root's, apart from two habits that answers.cpp knows. A set-user-id program does not
// become another user.
//
// With Scope::stat programs are told what is recorded: owners, and devices as devices (what the oldest calls of i386
// say, and getdents of before 2.4, is not changed). It is a switch as each such call costs two changes of process.
//
// Without Scope::owners it does so for a namespace that has other ids: those calls alone that the kernel refuses there
// too, device nodes and attributes of root's. Owners in the record mean nothing then.
//
// Needs what base/seccomp_notification.hpp asks for. When it is gone the calls fail with ENOSYS.
#pragma once
#include <sys/types.h>

#include <string>

#include "base/unique_fd.hpp"
#include "ownership/calls.hpp"
#include "ownership/files.hpp"
#include "rootfs/owner_record.hpp"

namespace sg::ownership {

class Supervisor {
public:
    // `work` is an absolute directory of the caller's: the socket "owners" is made there. `layer` is the upper
    // directory of the overlay, which may be made later, "" for none, and `place` where that is mounted for programs of
    // the host. The new process keeps no standard streams;
    // `close_in_child` is called in it. It ends with this object and with the calling process. Throws when it cannot be
    // started.
    Supervisor(const std::string& work, std::string layer, BaseOwners base, const std::function<void()>& close_in_child,
               std::string place = {}, Scope scope = {});
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;
    ~Supervisor();

    std::string profile() const;
    // Adds what is known from elsewhere, before anything is asked.
    void know(const OwnerRecord& record);
    // Everything recorded so far. Throws Code::internal when the process is gone.
    OwnerRecord record();

private:
    std::string socket_;
    const Scope scope_;
    UniqueFd control_;
    pid_t process_ = -1, maker_ = -1;
};

}  // namespace sg::ownership
