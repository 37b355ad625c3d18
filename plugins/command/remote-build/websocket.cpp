#include "remote-build/websocket.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>

namespace remote_build {

namespace {

enum Opcode : uint8_t { continuation = 0, text_frame = 1, binary_frame = 2, close_frame = 8, ping = 9, pong = 10 };
constexpr uint64_t max_control = 125;  // section 5.5
constexpr uint16_t protocol_error = 1002;

void random_bytes(unsigned char* to, size_t size) {
    if (RAND_bytes(to, static_cast<int>(size)) != 1) throw Error(Code::internal, "the system gives no random numbers");
}

std::string code_bytes(uint16_t code) { return {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)}; }

// Section 7.4: what may stand in a close frame.
bool is_close_code(uint16_t code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) || (code >= 3000 && code <= 4999);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> websocket_fields() {
    unsigned char nonce[16], key[32];
    random_bytes(nonce, sizeof nonce);
    EVP_EncodeBlock(key, nonce, sizeof nonce);
    return {{"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", reinterpret_cast<char*>(key)}};
}

WebSocket::WebSocket(std::unique_ptr<singularity::Duplex> stream) : stream_(std::move(stream)) {}

// At least so many bytes (a frame's head, or 125) lie in the buffer.
void WebSocket::need(size_t bytes) {
    if (at_ > 0) buffer_.erase(0, at_), at_ = 0;
    while (buffer_.size() < bytes) {
        char piece[16384];
        const uint64_t got = stream_->read(piece, sizeof piece);
        if (got == 0) throw Error(Code::network, "the connection ended in the middle");
        buffer_.append(piece, static_cast<size_t>(got));
    }
}

WebSocket::Frame WebSocket::next_frame() {
    need(2);
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(buffer_[at_ + i]); };
    if (byte(0) & 0x70) broken("reserved bits are set");
    if (byte(1) & 0x80) broken("a frame of the server is masked");
    Frame f{(byte(0) & 0x80) != 0, static_cast<uint8_t>(byte(0) & 0x0f), byte(1)};
    const size_t more = f.size == 126 ? 2 : f.size == 127 ? 8 : 0;
    if (more > 0) {
        need(2 + more);
        f.size = 0;
        for (size_t i = 0; i < more; ++i) f.size = f.size << 8 | byte(2 + i);
        if (f.size < (more == 2 ? 126u : 65536u)) broken("a length is written longer than it is");
    }
    at_ += 2 + more;
    if (f.opcode >= 8 && (f.size > max_control || !f.last)) broken("a control frame is too long or in pieces");
    if (f.size > max_frame) broken("a frame of " + std::to_string(f.size) + " bytes is larger than the limit of " + std::to_string(max_frame));
    return f;
}

void WebSocket::payload(uint64_t size, const std::function<void(std::string_view)>& take) {
    while (size > 0) {
        if (at_ == buffer_.size()) need(1);
        const auto part = static_cast<size_t>(std::min<uint64_t>(size, buffer_.size() - at_));
        const std::string_view piece = std::string_view(buffer_).substr(at_, part);
        take(piece);
        at_ += part;
        size -= part;
    }
}

std::string WebSocket::small_payload(uint64_t size) {
    std::string out;
    payload(size, [&](std::string_view piece) { out += piece; });
    return out;
}

// Frames of a client are masked with bytes that nobody can guess (section 5.3); ours are all control frames.
void WebSocket::send(uint8_t opcode, std::string_view payload) {
    unsigned char mask[4];
    random_bytes(mask, sizeof mask);
    std::string frame{static_cast<char>(0x80 | opcode), static_cast<char>(0x80 | payload.size())};
    frame.append(reinterpret_cast<char*>(mask), sizeof mask);
    for (size_t i = 0; i < payload.size(); ++i) frame.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
    stream_->write(frame.data(), frame.size());
}

void WebSocket::broken(const std::string& why) {
    try {
        send(close_frame, code_bytes(protocol_error));
    } catch (const Error&) {
        // Whoever breaks the rules may be gone as well.
    }
    throw Error(Code::corrupt, "the server breaks the WebSocket protocol: " + why);
}

uint16_t WebSocket::read(const std::function<void(std::string_view)>& text) {
    uint8_t message = 0;  // opcode of the message that is under way
    for (;;) {
        const Frame f = next_frame();
        switch (f.opcode) {
            case continuation:
                if (message == 0) broken("a message goes on that did not begin");
                break;
            case text_frame:
            case binary_frame:
                if (message != 0) broken("a message begins inside of another");
                message = f.opcode;
                break;
            case ping: send(pong, small_payload(f.size)); continue;
            case pong: small_payload(f.size); continue;
            case close_frame: {
                const std::string body = small_payload(f.size);
                if (body.size() == 1) broken("a close code has one byte");
                uint16_t code = 1005;
                if (body.size() >= 2) {
                    code = static_cast<uint16_t>(static_cast<uint8_t>(body[0]) << 8 | static_cast<uint8_t>(body[1]));
                    if (!is_close_code(code)) broken("close code " + std::to_string(code));
                }
                try {
                    send(close_frame, body.substr(0, 2));
                } catch (const Error& e) {
                    if (e.code() == Code::cancelled) throw;  // else: it has said all it had to
                }
                return code;
            }
            default: broken("there is no frame of type " + std::to_string(f.opcode));
        }
        payload(f.size, [&](std::string_view piece) {
            if (message == text_frame) text(piece);
        });
        if (f.last) message = 0;
    }
}

}  // namespace remote_build
