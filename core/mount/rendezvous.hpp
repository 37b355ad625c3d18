// Where processes of one user find the shared server of an image: a socket in a directory that only the user can
// enter, XDG_RUNTIME_DIR/singularity or, without that, /tmp/.singularity-UID.
//
// Whoever finds nobody at the socket takes the directory's lock, looks again, and makes the socket and a server for it;
// a server that ends removes its socket under the same lock. So one is there at most, and nobody connects to one that
// has stopped listening.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace sg {

class Rendezvous {
public:
    // Nothing when there is no directory that is the user's alone.
    static std::optional<Rendezvous> open();

    const std::string& path() const { return path_; }

    // Waits until no other process of the user holds it; open as long as it is held.
    UniqueFd lock() const;
    // A connection to the server of that name; empty: there is none.
    UniqueFd connect(const std::string& name) const;
    // Under the lock: a listening socket of that name, in place of one that nobody serves any more. Sockets that
    // killed servers left are removed on the way. Empty: cannot be had.
    UniqueFd listen(const std::string& name) const;
    void remove(const std::string& name) const;  // under the lock

    // Whether there is a server's socket, or what a killed one left of it, whose name begins so.
    bool has(std::string_view beginning) const;
    // The right to begin before it is known whether anybody else wants the same: one process of the user has it, until
    // it releases it or no copy of the descriptor is left. Empty: another one has it.
    UniqueFd right_to_begin() const;
    static void release(int right) noexcept;  // whoever has copies

private:
    Rendezvous(std::string path, UniqueFd directory) : path_(std::move(path)), directory_(std::move(directory)) {}
    void sweep() const;

    std::string path_;
    UniqueFd directory_;
};

// Messages of one piece with descriptors along. Both false when that could not be done within the socket's time.
bool send_descriptors(int socket, std::initializer_list<int> descriptors, std::string_view text = "m") noexcept;
// Exactly `count` of them, close-on-exec. What comes along goes to `text`, which then ends with it; more than it has room
// for is refused.
bool receive_descriptors(int socket, UniqueFd* descriptors, size_t count, std::span<char>* text = nullptr) noexcept;

}  // namespace sg
