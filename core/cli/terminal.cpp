#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.hpp"

namespace sg {

std::string shown_size(uint64_t bytes) {
    static const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double n = static_cast<double>(bytes);
    size_t unit = 0;
    while (n >= 1024 && unit + 1 < sizeof units / sizeof *units) n /= 1024, ++unit;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", n, units[unit]);
    return text;
}

namespace {

using Clock = std::chrono::steady_clock;

// In a log: the label, once.
class PlainProgress final : public Progress {
public:
    Bar* begin(const char* label, uint64_t) override {
        if (*label != '\0') log::plain(label);
        return new SilentBar;
    }

private:
    class SilentBar final : public Bar {
        void advance(uint64_t) override {}
        void end(int32_t) override {}
    };
};

// Digests are cut to what tells them apart, so that a line fits.
std::string shortened(const std::string& label) {
    std::string out;
    size_t digits = 0;
    for (const char c : label) {
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        digits = hex ? digits + 1 : 0;
        if (digits <= 12) out += c;
    }
    return out;
}

class Bars final : public Progress, public log::Overlay {
public:
    Bars() { log::set_overlay(this); }
    ~Bars() override {
        log::set_overlay(nullptr);
        const std::lock_guard lock(mutex_);
        erase();
    }

    Bar* begin(const char* label, uint64_t total) override {
        auto* bar = new Line(*this, shortened(label), total);
        const std::lock_guard lock(mutex_);
        lines_.push_back(bar);
        draw(true);
        return bar;
    }

    void hide() override {
        mutex_.lock();
        erase();
    }
    void show() override {
        draw(true);
        mutex_.unlock();
    }

private:
    class Line final : public Bar {
    public:
        Line(Bars& bars, std::string label, uint64_t total) : bars_(bars), label_(std::move(label)), total_(total), start_(Clock::now()) {}
        void advance(uint64_t bytes) override {
            const std::lock_guard lock(bars_.mutex_);
            done_ += bytes;
            bars_.draw(false);
        }
        void end(int32_t code) override {
            const std::lock_guard lock(bars_.mutex_);
            auto& all = bars_.lines_;
            all.erase(std::remove(all.begin(), all.end(), this), all.end());
            bars_.erase();
            if (code == SG_OK && total_ != SG_SIZE_UNKNOWN) done_ = total_;
            bars_.write(text() + (code == SG_OK ? "" : "  failed") + "\n");
            bars_.draw(true);
        }
        std::string text() const {
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start_).count();
            const std::string amount = shown_size(done_) + (total_ == SG_SIZE_UNKNOWN ? "" : " / " + shown_size(total_));
            std::string tail = std::to_string(seconds) + "s";
            // A single file is told of in more detail.
            if (label_.empty()) {
                const double elapsed = std::max(0.001, std::chrono::duration<double>(Clock::now() - start_).count());
                char percent[16] = "";
                if (total_ != SG_SIZE_UNKNOWN && total_ != 0) std::snprintf(percent, sizeof percent, "%.2f%% ", 100.0 * static_cast<double>(done_) / static_cast<double>(total_));
                tail = percent + shown_size(static_cast<uint64_t>(static_cast<double>(done_) / elapsed)) + "/s " + tail;
            }
            const size_t columns = bars_.columns();
            const size_t used = label_.size() + amount.size() + tail.size() + 6;
            std::string out = label_ + (label_.empty() ? "" : " ") + amount;
            if (used + 4 <= columns && total_ != SG_SIZE_UNKNOWN) {
                const size_t room = std::min<size_t>(columns - used, 50);
                const double part = total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
                const auto filled = static_cast<size_t>(part * static_cast<double>(room));
                out += " [" + std::string(filled, '=') + std::string(room - filled, '-') + "]";
            }
            out += " " + tail;
            if (out.size() >= columns) out.resize(columns - 1);
            return out;
        }

    private:
        Bars& bars_;
        std::string label_;
        uint64_t total_, done_ = 0;
        Clock::time_point start_;
    };

    size_t columns() const {
        winsize w{};
        return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
    }
    void write(const std::string& text) { [[maybe_unused]] const auto n = ::write(STDERR_FILENO, text.data(), text.size()); }
    void erase() {
        if (drawn_ == 0) return;
        write("\r\033[" + std::to_string(drawn_) + "A\033[J");
        drawn_ = 0;
    }
    // At most ten times a second, unless `now`.
    void draw(bool now) {
        const auto time = Clock::now();
        if (!now && time - last_ < std::chrono::milliseconds(100)) return;
        last_ = time;
        std::string out;
        if (drawn_ != 0) out = "\r\033[" + std::to_string(drawn_) + "A\033[J";
        for (const Line* l : lines_) out += l->text() + "\n";
        drawn_ = lines_.size();
        if (!out.empty()) write(out);
    }

    std::mutex mutex_;
    std::vector<Line*> lines_;
    size_t drawn_ = 0;
    Clock::time_point last_{};
};

// Nobody watches.
class NoProgress final : public Progress {
    Bar* begin(const char*, uint64_t) override { return nullptr; }
};

}  // namespace

std::unique_ptr<Progress> terminal_progress() {
    if (!log::enabled(log::Level::info)) return std::make_unique<NoProgress>();
    const char* term = std::getenv("TERM");
    if (isatty(STDERR_FILENO) == 1 && term && std::string_view(term) != "dumb") return std::make_unique<Bars>();
    return std::make_unique<PlainProgress>();
}

}  // namespace sg
