// Which mounts may be looked into on behalf of a program of the build.
//
// A file system that a program of the build serves itself (FUSE) may ask the supervisor before it answers, and the
// supervisor would wait for it: both for ever. What was mounted before the program began is served from outside.
#pragma once
#include <cstdint>
#include <unordered_set>

namespace sg::ownership {

class Mounts {
public:
    // Those that are there now, by the process' own directory of proc.
    void know(int proc);
    // Whether an open file (O_PATH) may be asked about. Asks the file system nothing.
    bool may_enter(int object, int proc) const;

private:
    std::unordered_set<uint64_t> known_;
};

}  // namespace sg::ownership
