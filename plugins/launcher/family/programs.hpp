// FUSE programs of the host (fuse2fs, fuse-overlayfs, what --fusemount names) that serve a part of the container.
//
// Such a program must outlive the caller's process, which becomes the container's, and must end with the
// container's last mount. So a detached helper starts it in a mount namespace of its own (a copy of the container's,
// where it sees images that are mounted already), takes the mount away from there and hands it over: the
// container's namespace then holds the only one, and the kernel tells the program when that is gone.
//
// Order: start() outside of the PID and mount namespaces of the container, before any other descriptor of the launch
// that a child must not keep; mount() while the root is built. One thread. Needs Linux 5.2 (open_tree).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "family/spec.hpp"
#include "family/system.hpp"

namespace launcher {

// The program's path on the host; "" when there is none. Real root's own PATH is not asked.
std::string find_host_program(const std::string& name);

class Programs {
public:
    static std::unique_ptr<Programs> start();

    // Starts `words` (the program's path first; a word "{}" stands for `target`) in `directory` and waits until
    // something is mounted on `target`, an absolute directory that exists. Returns the mount, attached nowhere.
    // The program keeps `kept` (descriptors) open as long as it lives. Throws Error with the program's own words.
    Fd mount(const std::vector<std::string>& words, const std::string& target, const std::string& directory, const std::vector<int>& kept);

private:
    explicit Programs(Fd socket) : socket_(std::move(socket)) {}
    Fd socket_;
};

// Puts a detached mount on a directory, with nosuid and nodev.
void attach_mount(int mount, const std::string& target, bool read_only);
void attach_mount(int mount, int target);  // on what `target` is open on

}  // namespace launcher
