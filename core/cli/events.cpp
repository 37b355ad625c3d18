#include "cli/events.hpp"

#include <fcntl.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <singularity/plugin.h>
#include <unistd.h>

#include <chrono>

namespace sg {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kStep = std::chrono::milliseconds(200);

// One event, written in one piece.
class Event {
public:
    explicit Event(const char* name) {
        writer_.StartObject();
        text("event", name);
    }
    Event& number(const char* key, uint64_t value) {
        writer_.Key(key);
        writer_.Uint64(value);
        return *this;
    }
    Event& text(const char* key, const std::string& value) {
        writer_.Key(key);
        writer_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
        return *this;
    }
    Event& truth(const char* key, bool value) {
        writer_.Key(key);
        writer_.Bool(value);
        return *this;
    }
    void send(int to) {
        writer_.EndObject();
        const std::string line = std::string(buffer_.GetString(), buffer_.GetSize()) + "\n";
        [[maybe_unused]] const auto n = ::write(to, line.data(), line.size());
    }

private:
    rapidjson::StringBuffer buffer_;
    rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

class Task final : public Progress::Bar {
public:
    Task(int to, uint64_t number, const char* label, uint64_t total) : to_(to), number_(number) {
        Event event("begin");
        event.number("task", number_).text("label", label);
        if (total != SG_SIZE_UNKNOWN) event.number("total", total);
        event.send(to_);
    }
    void advance(uint64_t bytes) override {
        done_ += bytes;
        const auto now = Clock::now();
        if (now - last_ < kStep) return;
        last_ = now;
        Event("progress").number("task", number_).number("done", done_).send(to_);
    }
    void end(int32_t code) override {
        Event("end").number("task", number_).number("done", done_).truth("ok", code == SG_OK).send(to_);
    }

private:
    const int to_;
    const uint64_t number_;
    uint64_t done_ = 0;
    Clock::time_point last_ = Clock::now();
};

}  // namespace

EventProgress::EventProgress() : out_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
}
EventProgress::~EventProgress() { ::dup2(out_.get(), STDOUT_FILENO); }

Progress::Bar* EventProgress::begin(const char* label, uint64_t total) {
    return new Task(out_.get(), ++tasks_, label, total);
}

void EventProgress::done(const std::string& path) { Event("done").text("path", path).send(out_.get()); }

}  // namespace sg
