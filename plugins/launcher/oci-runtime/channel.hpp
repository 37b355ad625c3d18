// What the caller's process and the monitor of its container say to each other. The end of one is seen by the other as
// the end of the channel, so that a process that is killed leaves nothing behind.
//
//     caller   waits, forwards signals, relays the terminal; takes the container away when the monitor is killed
//     monitor  in the user and mount namespaces that hold the root file system: runs the runtime's commands, is the
//     parent of
//              the container's first process, takes the container away when the caller is killed
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "family/system.hpp"

namespace oci_runtime {

enum class Say : int32_t {
    ready,    // to the caller: descriptors of the user and the mount namespace, and the directory of the session
    console,  // to the caller: the terminal's descriptor
    started,  // to the caller: the container's first process
    ended,    // to the caller: its wait(2) status
    signal    // to the monitor: pass it on
};

struct Message {
    Say what = Say::ended;
    int32_t value = 0;
    std::string text;
    std::vector<launcher::Fd> descriptors;
};

class Channel {
public:
    explicit Channel(launcher::Fd socket) : socket_(std::move(socket)) {}
    // Both ends.
    static std::pair<Channel, Channel> make();

    int fd() const { return socket_.get(); }
    bool send(Say what, int32_t value = 0, const std::string& text = {},
              const std::vector<int>& descriptors = {}) const;
    std::optional<Message> receive() const;  // blocks; nullopt at the other's end
    bool closed() const;                     // the other side has ended
    void close() { socket_.reset(); }

private:
    launcher::Fd socket_;
};

}  // namespace oci_runtime
