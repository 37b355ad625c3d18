// Results that appear whole or not at all.
//
// An image is written to something nobody sees and gets its name in one step, after its bytes are on
// disk. A process that is killed leaves no file (it has no name yet) or, for a directory, one that is
// marked as left over and removed by the next run that writes the same target.
#pragma once
#include <string>

#include "base/unique_fd.hpp"

namespace sg {

// A new regular file beside its target. Not for several threads.
class OutputFile {
public:
    // `mode` less the umask (an image file is executable: its first line calls a program). Throws permission,
    // no_space, not_found (no such directory), invalid (the target is a directory, a device, a pipe or a socket).
    explicit OutputFile(std::string target, unsigned mode = 0755);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile();  // without commit nothing is left

    int fd() const { return fd_.get(); }
    const std::string& target() const { return target_; }
    // Syncs the bytes, then replaces the target atomically. Without `sync` a crash of the machine may leave something
    // else: for what has a checksum. Throws io, no_space.
    void commit(bool sync = true);

private:
    std::string target_;
    std::string name_;  // of the temporary, "" while it has none
    UniqueFd fd_;
};

// A new directory beside its target.
class OutputDirectory {
public:
    // Throws invalid where the target is a device, a pipe or a socket.
    explicit OutputDirectory(std::string target);
    OutputDirectory(const OutputDirectory&) = delete;
    OutputDirectory& operator=(const OutputDirectory&) = delete;
    ~OutputDirectory();

    const std::string& path() const { return name_; }
    void commit();  // an older target, file or directory, is swapped out and removed

private:
    std::string target_, name_;
    UniqueFd lock_;  // held while the directory is being filled: tells it from a left over one
    bool committed_ = false;
};

// The bytes of the file `from` in the empty file `to`; shared with it where the file system can.
void copy_file(const std::string& from, int to);

// Removes a tree below a directory that is ours, also one with directories of mode 000. Never follows a link.
void remove_tree(const std::string& path);

}  // namespace sg
