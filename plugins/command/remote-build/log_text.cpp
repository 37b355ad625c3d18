#include "remote-build/log_text.hpp"

namespace remote_build {

namespace {

constexpr size_t longest_colour = 32;

}  // namespace

std::string LogText::filtered(std::string_view piece) {
    std::string out;
    out.reserve(piece.size());
    for (const char c : piece) {
        const auto byte = static_cast<unsigned char>(c);
        switch (state_) {
            case State::c2:
                state_ = State::plain;
                if (byte >= 0x80 && byte < 0xa0) continue;  // C1 controls as UTF-8 writes them
                out.push_back('\xc2');
                [[fallthrough]];
            case State::plain:
                if (byte == 0xc2) state_ = State::c2;
                else if (byte == 0x1b) state_ = State::escape;
                else if (byte >= 0x20 ? byte != 0x7f : c == '\n' || c == '\t' || c == '\r') out.push_back(c);
                continue;
            case State::escape:
                pending_.assign(1, '\x1b');
                // ESC ] and its kin begin a text that ends with BEL or ESC backslash; others are two bytes.
                if (c == '[') pending_.push_back(c), state_ = State::sequence;
                else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_') state_ = State::text;
                else state_ = State::plain;
                continue;
            case State::sequence:
                if (pending_.size() < longest_colour) pending_.push_back(c);
                if (byte < 0x40) {
                    if (byte < 0x20) state_ = State::plain;  // no sequence at all
                    if (c == '\n') out.push_back(c);
                    continue;
                }
                // A colour holds numbers alone.
                if (c == 'm' && pending_.back() == 'm' && pending_.find_first_not_of("0123456789;", 2) == pending_.size() - 1) out += pending_;
                state_ = State::plain;
                continue;
            case State::text:
                if (byte == 0x07 || byte == '\n') state_ = State::plain;
                else if (byte == 0x1b) state_ = State::text_escape;
                if (byte == '\n') out.push_back(c);
                continue;
            case State::text_escape: state_ = c == '\\' ? State::plain : State::text; continue;
        }
    }
    return out;
}

}  // namespace remote_build
