#include "family/connection.hpp"

#include <cstring>

namespace http {

namespace {
constexpr size_t step = 16 << 10;
constexpr int most_informational = 16;
constexpr size_t largest_unread = 1 << 20;
short events_of(Channel::Did did) { return did == Channel::Did::want_write ? POLLOUT : POLLIN; }
}  // namespace

size_t Connection::receive(char* to, size_t size, Wait& wait, Patience patience) {
    while (!ended_) {
        const Channel::Result r = channel_->read(to, size);
        if (r.did == Channel::Did::some) return r.bytes;
        if (r.did == Channel::Did::end) {
            ended_ = true;
            break;
        }
        if (patience == Patience::now) return 0;
        wait.until(channel_->fd(), events_of(r.did));
    }
    return 0;
}

bool Connection::fill(Wait& wait, Patience patience) {
    if (at_ == buffer_.size()) buffer_.clear(), at_ = 0;
    if (at_ > step) buffer_.erase(0, at_), at_ = 0;
    const size_t before = buffer_.size();
    buffer_.resize(before + step);
    size_t n = 0;
    try {
        n = receive(buffer_.data() + before, step, wait, patience);
    } catch (...) {
        buffer_.resize(before);
        throw;
    }
    buffer_.resize(before + n);
    return n > 0;
}

size_t Connection::read(char* to, size_t size, Wait& wait, Patience patience) {
    const std::string_view have = buffered();
    if (have.empty()) return receive(to, size, wait, patience);
    const size_t n = std::min(size, have.size());
    std::memcpy(to, have.data(), n);
    consume(n);
    return n;
}

bool Connection::readable_within(Wait& wait, uint64_t milliseconds) {
    pollfd one{channel_->fd(), POLLIN, 0};
    return wait.within(&one, 1, milliseconds);
}

bool Connection::write(std::string_view bytes, Wait& wait) {
    while (!bytes.empty()) {
        const Channel::Result r = channel_->write(bytes.data(), bytes.size());
        if (r.did == Channel::Did::end) return false;
        if (r.did == Channel::Did::some) {
            bytes.remove_prefix(r.bytes);
            continue;
        }
        pollfd one{channel_->fd(), static_cast<short>(events_of(r.did) | POLLIN), 0};
        wait.until(&one, 1);
        // An answer before the request is whole says that the rest is not wanted. With TLS what comes may be no
        // answer at all (a session ticket).
        if ((one.revents & (POLLIN | POLLHUP | POLLERR)) && (fill(wait, Patience::now) || ended_)) return false;
    }
    return true;
}

void Connection::write_whole(std::string_view bytes, Wait& wait) {
    while (!bytes.empty()) {
        const Channel::Result r = channel_->write(bytes.data(), bytes.size());
        if (r.did == Channel::Did::end) throw Error(Code::network, wait.what() + ": the other side has closed the connection");
        if (r.did == Channel::Did::some) {
            bytes.remove_prefix(r.bytes);
            continue;
        }
        // Both sides may be waiting for the other to read.
        const bool listen = !ended_ && buffered().size() < largest_unread;
        pollfd one{channel_->fd(), static_cast<short>(events_of(r.did) | (listen ? POLLIN : 0)), 0};
        wait.until(&one, 1);
        if (listen && (one.revents & POLLIN)) fill(wait, Patience::now);
    }
}

ResponseHead Connection::read_head(Wait& wait) {
    for (int informational = 0; informational <= most_informational; ++informational) {
        size_t scanned = at_;
        for (;;) {
            // The end of a head is an empty line; a server may end lines with LF alone.
            size_t end = std::string::npos;
            for (size_t i = scanned; i < buffer_.size(); ++i) {
                if (buffer_[i] != '\n') continue;
                const bool plain = i + 1 < buffer_.size() && buffer_[i + 1] == '\n';
                const bool usual = i + 2 < buffer_.size() && buffer_[i + 1] == '\r' && buffer_[i + 2] == '\n';
                if (plain || usual) {
                    end = i + (plain ? 2 : 3);
                    break;
                }
            }
            if (end != std::string::npos) {
                const std::string head = buffer_.substr(at_, end - at_);
                at_ = end;
                ResponseHead parsed = ResponseHead::parse(head);
                if (parsed.status >= 200 || parsed.status == 101) return parsed;
                break;
            }
            if (buffer_.size() - at_ > largest_head)
                throw Error(Code::limit, "the head of the server's answer is larger than the limit of " + std::to_string(largest_head) + " bytes");
            // What cannot be HTTP is told at once, not when the time is over.
            const std::string_view begin = buffered().substr(0, 7);
            if (begin != std::string_view("HTTP/1.").substr(0, begin.size())) ResponseHead::parse(std::string(begin));
            scanned = buffer_.size() > at_ + 2 ? buffer_.size() - 2 : at_;
            const bool first = buffered().empty() && informational == 0;
            const size_t moved = at_;
            try {
                if (!fill(wait, Patience::wait)) {
                    const Error gone(Code::network, "the server closed the connection without an answer");
                    if (first) throw Dropped(gone);
                    throw Error(Code::network, "the server closed the connection in the middle of its answer's head");
                }
            } catch (const Dropped&) {
                throw;
            } catch (const Error& e) {
                if (first && e.code() == Code::network) throw Dropped(e);
                throw;
            }
            scanned -= moved - at_;  // the buffer may have been moved to its front
        }
    }
    throw Error(Code::network, "the server sends informational answers without end");
}

bool Connection::quiet() {
    if (!buffered().empty() || ended_) return false;
    pollfd one{channel_->fd(), POLLIN, 0};
    if (::poll(&one, 1, 0) == 0) return true;
    // With TLS what came may be a session ticket, which is nothing to us.
    try {
        char byte;
        const Channel::Result r = channel_->read(&byte, 1);
        return r.did == Channel::Did::want_read;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace http
