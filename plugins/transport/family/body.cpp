#include "family/body.hpp"

#include <algorithm>

#include "family/pool.hpp"

namespace http {

namespace {
constexpr size_t largest_slice = 1 << 20, smallest_slice = 64 << 10;
constexpr uint64_t patience_ms = 5;  // for a slice to grow to the smallest size
constexpr size_t longest_line = 8 << 10, largest_trailer = 64 << 10;

uint64_t chunk_size(std::string_view line) {
    line = line.substr(0, line.find(';'));  // extensions say nothing to us
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    uint64_t size = 0;
    if (line.empty() || line.size() > 15) throw Error(Code::network, "the server's chunked answer is damaged");
    for (const char c : line) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) throw Error(Code::network, "the server's chunked answer is damaged");
        size = size * 16 + static_cast<uint64_t>(digit);
    }
    return size;
}

}  // namespace

Body::Body(std::unique_ptr<Connection> connection, const Framing& framing, std::string key, Wait wait)
    : connection_(std::move(connection)), framing_(framing), key_(std::move(key)), wait_(std::move(wait)), left_(framing.length) {
    wait_.begin(Wait::Phase::body);
    state_ = framing_.kind == Framing::Kind::chunked ? State::size_line : State::data;
    if (framing_.kind == Framing::Kind::none || (framing_.kind == Framing::Kind::length && left_ == 0)) finish();
}

uint64_t Body::left() const {
    return state_ == State::done ? 0 : framing_.kind == Framing::Kind::length ? left_ : SG_SIZE_UNKNOWN;
}

void Body::linger(uint64_t milliseconds) {
    if (!connection_ || !connection_->buffered().empty()) return;
    wait_.begin(Wait::Phase::body);  // the reader may have taken its time since the last wait
    connection_->readable_within(wait_, milliseconds);
}

void Body::finish() {
    state_ = State::done;
    try {
        if (connection_->buffered().empty()) connection_->fill(wait_, Connection::Patience::now);
    } catch (const Error&) {
        connection_.reset();  // broken behind the last byte: nothing is missing
        return;
    }
    // Bytes after the end are an answer that nobody asked for: whoever sends them is not to be asked again.
    const bool clean = connection_->buffered().empty() && !connection_->ended();
    if (!connection_->buffered().empty() && framing_.kind == Framing::Kind::length)
        throw Error(Code::corrupt, "the server sent more than the " + std::to_string(framing_.length) + " bytes that it had promised");
    if (clean && !key_.empty() && framing_.kind != Framing::Kind::until_close) Pool::shared().put(key_, std::move(connection_));
    connection_.reset();
}

void Body::truncated() const {
    if (framing_.kind == Framing::Kind::length)
        throw Error(Code::network, "the connection ended after " + std::to_string(got_) + " of " + std::to_string(framing_.length) + " bytes");
    throw Error(Code::network, "the connection ended in the middle of the answer, after " + std::to_string(got_) + " bytes");
}

bool Body::line(std::string& out, Connection::Patience patience) {
    for (;;) {
        const std::string_view have = connection_->buffered();
        const size_t end = have.find('\n');
        if (end != std::string_view::npos && end <= longest_line) {
            out = have.substr(0, end);
            if (!out.empty() && out.back() == '\r') out.pop_back();
            connection_->consume(end + 1);
            return true;
        }
        if (have.size() > longest_line) throw Error(Code::network, "the server's chunked answer is damaged");
        if (connection_->fill(wait_, patience)) continue;
        if (connection_->ended()) truncated();
        return false;
    }
}

size_t Body::read_framed(char* to, size_t size, Connection::Patience patience) {
    std::string text;
    for (;;) {
        switch (state_) {
            case State::done: return 0;
            case State::size_line:
                if (!line(text, patience)) return 0;
                left_ = chunk_size(text);
                state_ = left_ == 0 ? State::trailer : State::data;
                break;
            case State::after_data:
                if (!line(text, patience)) return 0;
                if (!text.empty()) throw Error(Code::network, "the server's chunked answer is damaged");
                state_ = State::size_line;
                break;
            case State::trailer:
                if (!line(text, patience)) return 0;
                trailer_ += text.size();
                if (trailer_ > largest_trailer) throw Error(Code::limit, "the server's chunked answer has a trailer without end");
                if (text.empty()) finish();
                break;
            case State::data: {
                const bool open_end = framing_.kind == Framing::Kind::until_close;
                const size_t want = open_end ? size : static_cast<size_t>(std::min<uint64_t>(size, left_));
                const size_t n = connection_->read(to, want, wait_, patience);
                if (n == 0 && !connection_->ended()) return 0;
                if (n == 0) {
                    if (!open_end) truncated();
                    finish();
                    return 0;
                }
                got_ += n;
                if (open_end) return n;
                left_ -= n;
                if (left_ == 0) {
                    if (framing_.kind == Framing::Kind::chunked)
                        state_ = State::after_data;
                    else
                        finish();
                }
                return n;
            }
        }
    }
}

size_t Body::read(char* to, size_t size, Connection::Patience patience) {
    try {
        return read_framed(to, size, patience);
    } catch (const Error& e) {
        // What the wait itself throws names the request already.
        if (e.code() == Code::cancelled || e.code() == Code::timeout) throw;
        throw e.within(wait_.what());
    }
}

singularity::Slice BodyStream::next() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (body_->done()) return {};
    const size_t capacity = static_cast<size_t>(std::min<uint64_t>(largest_slice, std::max<uint64_t>(body_->left(), 1)));
    std::unique_ptr<char[]> memory;
    if (capacity == largest_slice) {
        const std::lock_guard lock(bank_->mutex);
        if (!bank_->free.empty()) {
            memory = std::move(bank_->free.back());
            bank_->free.pop_back();
        }
    }
    if (!memory) memory = std::make_unique_for_overwrite<char[]>(capacity);
    size_t got = body_->read(memory.get(), capacity, Connection::Patience::wait);
    if (got == 0) return {};
    try {
        bool lingered = false;
        while (got < capacity && !body_->done()) {
            const size_t n = body_->read(memory.get() + got, capacity - got, Connection::Patience::now);
            got += n;
            if (n > 0) continue;
            if (lingered || got >= smallest_slice) break;
            body_->linger(patience_ms);
            lingered = true;
        }
    } catch (...) {
        // What has come is the reader's first: a download goes on behind it.
        failure_ = std::current_exception();
    }
    char* const data = memory.release();
    std::shared_ptr<const void> keep(data, [bank = bank_, capacity](char* p) {
        std::unique_ptr<char[]> back(p);
        if (capacity != largest_slice) return;
        const std::lock_guard lock(bank->mutex);
        if (bank->free.size() < 4) bank->free.push_back(std::move(back));
    });
    return singularity::Slice::owned(std::move(keep), data, got);
}

}  // namespace http
