#include "hub/server/websocket.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

namespace hub {

std::string websocket_answer(const std::string& key) {
    const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char hash[20], accept[29];
    SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
    const int size = EVP_EncodeBlock(accept, hash, sizeof hash);
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
           std::string(reinterpret_cast<char*>(accept), static_cast<size_t>(size)) + "\r\n\r\n";
}

bool valid_websocket_key(const std::string& key) {
    if (key.size() != 24 || !key.ends_with("==")) return false;
    for (size_t i = 0; i < 22; ++i) {
        const char c = key[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return false;
    }
    return true;
}

std::string websocket_frame(Opcode opcode, std::string_view payload) {
    std::string out(1, static_cast<char>(0x80 | static_cast<unsigned>(opcode)));
    const uint64_t size = payload.size();
    const int bytes = size < 126 ? 0 : size <= 0xffff ? 2 : 8;
    out += static_cast<char>(bytes == 0 ? size : bytes == 2 ? 126 : 127);
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
    return out.append(payload);
}

std::string websocket_close(uint16_t code, std::string_view reason) {
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    return websocket_frame(Opcode::close, payload.append(reason.substr(0, 123)));
}

std::optional<FrameReader::Control> FrameReader::take(std::string_view& bytes) {
    while (!bytes.empty() || (inside_ && left_ == 0)) {
        if (!inside_) {
            head_ += bytes.front();
            bytes.remove_prefix(1);
            if (head_.size() < 2) continue;
            const auto byte = [&](size_t i) { return static_cast<unsigned char>(head_[i]); };
            const unsigned opcode = byte(0) & 0x0f, code = byte(1) & 0x7f;
            const bool final = byte(0) & 0x80, control = opcode >= 8;
            // No extension was agreed on, and a client masks what it sends (sections 5.1 and 5.2).
            if ((byte(0) & 0x70) || !(byte(1) & 0x80) || (opcode > 2 && opcode < 8) || opcode > 10)
                throw uint16_t{1002};
            if (control && (!final || code > 125)) throw uint16_t{1002};
            if (!control && fragmented_ != (opcode == 0)) throw uint16_t{1002};
            const size_t extra = code == 126 ? 2 : code == 127 ? 8 : 0;
            if (head_.size() < 2 + extra + 4) continue;
            uint64_t size = code;
            if (extra > 0) {
                size = 0;
                for (size_t i = 0; i < extra; ++i) size = size << 8 | byte(2 + i);
                if (size < (extra == 2 ? 126u : 65536u)) throw uint16_t{1002};
            }
            if (size > most_payload) throw uint16_t{1009};
            for (size_t i = 0; i < 4; ++i) mask_[i] = byte(2 + extra + i);
            if (!control) fragmented_ = !final;
            opcode_ = static_cast<Opcode>(opcode), left_ = size, at_ = 0, inside_ = true;
            payload_.clear();
            head_.clear();
        }
        const auto now = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
        const bool control = static_cast<unsigned>(opcode_) >= 8;
        if (control)
            for (size_t i = 0; i < now; ++i)
                payload_ += static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ mask_[(at_ + i) % 4]);
        bytes.remove_prefix(now);
        left_ -= now, at_ += now;
        if (left_ > 0) break;
        inside_ = false;
        if (!control) continue;
        if (opcode_ == Opcode::close && payload_.size() == 1) throw uint16_t{1002};
        return Control{opcode_, std::move(payload_)};
    }
    return std::nullopt;
}

std::string valid_utf8(std::string_view bytes, bool last, size_t& taken) {
    std::string out;
    size_t at = 0;
    while (at < bytes.size()) {
        const auto first = static_cast<unsigned char>(bytes[at]);
        const size_t size = first < 0x80                    ? 1
                            : first >= 0xc2 && first < 0xe0 ? 2
                            : first >= 0xe0 && first < 0xf0 ? 3
                            : first >= 0xf0 && first < 0xf5 ? 4
                                                            : 0;
        size_t good = size == 0 ? 0 : 1;
        while (good > 0 && good < size && at + good < bytes.size()) {
            const auto c = static_cast<unsigned char>(bytes[at + good]);
            // Neither a longer form than needed, nor a surrogate, nor past U+10FFFF (RFC 3629, section 4).
            const unsigned low = good == 1 && first == 0xe0 ? 0xa0 : good == 1 && first == 0xf0 ? 0x90 : 0x80;
            const unsigned high = good == 1 && first == 0xed ? 0x9f : good == 1 && first == 0xf4 ? 0x8f : 0xbf;
            if (c < low || c > high) break;
            ++good;
        }
        if (size > 0 && good == size) {
            out.append(bytes.substr(at, size));
            at += size;
        } else if (size > 0 && at + good == bytes.size() && !last) {
            break;
        } else {
            out += "\xef\xbf\xbd";
            at += std::max<size_t>(good, 1);
        }
    }
    taken += at;
    return out;
}

}  // namespace hub
