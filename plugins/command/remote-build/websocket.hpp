// The client's side of a WebSocket (RFC 6455), for a server that only talks: what it sends is handed on, pings are answered.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <singularity/transport.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remote_build {

using singularity::Code;
using singularity::Error;

// Fields that ask for the upgrade (section 4.1), with a key of their own; the transport adds Host, Upgrade and Connection.
std::vector<std::pair<std::string, std::string>> websocket_fields();

// Not for several threads.
class WebSocket {
public:
    // Bytes of one frame; more is refused. Payloads are handed on in pieces, so no frame is held as a whole.
    static constexpr uint64_t max_frame = 64 << 20;

    explicit WebSocket(std::unique_ptr<singularity::Duplex> stream);

    // Calls text(piece) for what text messages hold, binary ones are passed over, until the server closes. Gives the close
    // code, 1005 when it names none. Throws Code::network when the stream ends without a close frame, corrupt when it breaks the
    // protocol (which the server is told), and what the stream and `text` throw.
    uint16_t read(const std::function<void(std::string_view)>& text);

private:
    struct Frame {
        bool last = false;
        uint8_t opcode = 0;
        uint64_t size = 0;
    };
    Frame next_frame();
    void payload(uint64_t size, const std::function<void(std::string_view)>& take);
    std::string small_payload(uint64_t size);
    void need(size_t bytes);
    void send(uint8_t opcode, std::string_view payload);
    [[noreturn]] void broken(const std::string& why);

    std::unique_ptr<singularity::Duplex> stream_;
    std::string buffer_;
    size_t at_ = 0;
};

}  // namespace remote_build
