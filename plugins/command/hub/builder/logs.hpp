// Those who watch a log as it grows: any number of WebSockets, all in one thread.
#pragma once
#include <functional>
#include <memory>
#include <string>

namespace hub {

class LogViewers {
public:
    // `done(id)`: whether nothing will be added to that build's log any more; called by the thread.
    explicit LogViewers(std::function<bool(const std::string& id)> done);
    // Viewers are told that the hub goes (1001).
    ~LogViewers();
    LogViewers(const LogViewers&) = delete;
    LogViewers& operator=(const LogViewers&) = delete;

    // Takes the connected socket, on which the handshake is done. The viewer gets the file from its start in text
    // frames, and a close frame 1000 behind the last byte. Any thread.
    void add(int fd, const std::string& id, const std::string& file);
    size_t count() const;

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace hub
