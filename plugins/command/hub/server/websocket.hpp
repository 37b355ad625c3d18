// WebSocket (RFC 6455) as far as a server that mostly talks needs it: the handshake's answer, frames out, frames in.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hub {

// The answer 101 to a request with that Sec-WebSocket-Key, head and empty line.
std::string websocket_answer(const std::string& key);
// 24 characters of base64 that stand for 16 bytes (section 4.2.1).
bool valid_websocket_key(const std::string& key);

enum class Opcode : uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// One unmasked frame, as a server sends it.
std::string websocket_frame(Opcode opcode, std::string_view payload);
std::string websocket_close(uint16_t code, std::string_view reason = {});

// What a client sends, in pieces as they come. Payloads of data frames are counted and dropped: there is nothing that a
// viewer may say.
class FrameReader {
public:
    static constexpr uint64_t most_payload = 64 << 10;  // of a frame
    struct Control {
        Opcode opcode;
        std::string payload;
    };
    // Takes bytes from the front of `bytes`, up to the end of one control frame, which it returns; nullopt when all are
    // taken. Throws the close code (1002 protocol error, 1009 too big) as uint16_t; no call may follow.
    std::optional<Control> take(std::string_view& bytes);

private:
    std::string head_;     // of a frame that is not there whole: 2 to 14 bytes
    bool inside_ = false;  // of a payload
    Opcode opcode_{};
    uint64_t left_ = 0;  // bytes of the payload that have not come
    size_t at_ = 0;      // in the payload, for the mask
    unsigned char mask_[4]{};
    std::string payload_;      // of a control frame
    bool fragmented_ = false;  // a message goes on
};

// The longest part of `bytes` that ends with a whole character, with what is no UTF-8 replaced by U+FFFD; how many
// bytes that took is added to `taken`. With `last`, a cut character counts as wrong.
std::string valid_utf8(std::string_view bytes, bool last, size_t& taken);

}  // namespace hub
