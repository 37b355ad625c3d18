#include "base/log.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <singularity/printable.hpp>
#include <string>

namespace sg::log {

namespace {
// Names and messages of strangers are in what is told: no text of theirs steers the terminal.
std::string shown(std::string_view text) { return singularity::printable(text, "\n\t"); }

std::atomic<int> least{static_cast<int>(Level::info)};
std::atomic<bool> may_colour{true};
std::atomic<Overlay*> overlay{nullptr};

struct Style {
    const char* prefix;
    const char* colour;
};
Style style(Level level) {
    switch (level) {
        case Level::fatal: return {"FATAL:   ", "\033[31m"};
        case Level::error: return {"ERROR:   ", "\033[31m"};
        case Level::warning: return {"WARNING: ", "\033[33m"};
        case Level::info: return {"INFO:    ", "\033[34m"};
        case Level::verbose: return {"VERBOSE: ", ""};
        case Level::debug: return {"DEBUG:   ", ""};
    }
    return {"", ""};
}

bool coloured() {
    static const bool yes = isatty(STDERR_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    return yes && may_colour.load(std::memory_order_relaxed);
}

// One write per line, so that lines of several threads and processes do not mix. A full or closed
// stderr is nobody's to hear about.
void put(const std::string& text) {
    Overlay* const over = overlay.load(std::memory_order_acquire);
    if (over) over->hide();
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(STDERR_FILENO, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += static_cast<size_t>(n);
    }
    if (over) over->show();
}
}  // namespace

void set_threshold(Level l) { least.store(static_cast<int>(l), std::memory_order_relaxed); }
void set_colour(bool allowed) { may_colour.store(allowed, std::memory_order_relaxed); }
void set_overlay(Overlay* o) { overlay.store(o, std::memory_order_release); }
Level threshold() { return static_cast<Level>(least.load(std::memory_order_relaxed)); }
bool enabled(Level l) { return static_cast<int>(l) <= least.load(std::memory_order_relaxed); }

void line(Level level, std::string_view text) {
    if (!enabled(level)) return;
    const Style s = style(level);
    std::string out;
    out.reserve(text.size() + 24);
    if (coloured() && *s.colour)
        out.append(s.colour).append(s.prefix).append("\033[0m");
    else
        out.append(s.prefix);
    out.append(shown(text)).push_back('\n');
    put(out);
}

void plain(std::string_view text) {
    if (!enabled(Level::info)) return;
    std::string out = shown(text);
    out.push_back('\n');
    put(out);
}

}  // namespace sg::log
