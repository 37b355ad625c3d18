#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "cli/terminal.hpp"

using namespace sg;

namespace {

// What `f` shows on a stderr that is a pipe or a terminal of `columns`.
template <class F>
std::string shown(int columns, F&& f) {
    int ends[2];
    if (columns > 0) {
        winsize size{};
        size.ws_col = static_cast<unsigned short>(columns);
        size.ws_row = 24;
        BOOST_REQUIRE(openpty(&ends[0], &ends[1], nullptr, nullptr, &size) == 0);
    } else {
        BOOST_REQUIRE(pipe(ends) == 0);
    }
    const UniqueFd reading(ends[0]), before(dup(STDERR_FILENO));
    dup2(ends[1], STDERR_FILENO);
    f();
    dup2(before.get(), STDERR_FILENO);
    close(ends[1]);
    fcntl(reading.get(), F_SETFL, O_NONBLOCK);
    std::string out(65536, '\0');
    size_t got = 0;
    for (ssize_t n; (n = read(reading.get(), out.data() + got, out.size() - got)) > 0;) got += static_cast<size_t>(n);
    out.resize(got);
    return out;
}

void copy_blob() {
    const auto progress = terminal_progress();
    const std::unique_ptr<Progress::Bar> bar(
        progress->begin("Copying blob sha256:8c3b70e3904492c753652606df4726430426f42ea56e06ea924d6fea7ae162a1", 47533916));
    if (!bar) return;
    bar->advance(47533916);
    bar->end(SG_OK);
}

}  // namespace

BOOST_AUTO_TEST_CASE(sizes_are_shown_as_the_guide_shows_them) {
    BOOST_TEST(shown_size(0) == "0 B");
    BOOST_TEST(shown_size(1023) == "1023 B");
    BOOST_TEST(shown_size(47533916) == "45.33 MiB");
    BOOST_TEST(shown_size(UINT64_MAX) == "16384.00 PiB");
}

BOOST_AUTO_TEST_CASE(a_log_gets_one_plain_line_for_each_blob) {
    BOOST_TEST(shown(0, copy_blob) == "Copying blob sha256:8c3b70e3904492c753652606df4726430426f42ea56e06ea924d6fea7ae162a1\n");
}

BOOST_AUTO_TEST_CASE(a_terminal_gets_a_bar_that_fits) {
    setenv("TERM", "xterm", 1);
    const std::string text = shown(100, copy_blob);
    BOOST_TEST((text.find("Copying blob sha256:8c3b70e39044 45.33 MiB / 45.33 MiB [====") != std::string::npos), text);
    BOOST_TEST((text.find("] 0s\r\n") != std::string::npos), text);
    // A line that is too long would wrap, and the next erase would miss half of it.
    std::string visible = shown(40, copy_blob);
    for (size_t escape; (escape = visible.find('\033')) != std::string::npos;)
        visible.erase(escape, visible.find_first_of("AJ", escape) - escape + 1);
    size_t column = 0;
    for (const char c : visible) {
        column = c == '\n' || c == '\r' ? 0 : column + 1;
        BOOST_REQUIRE(column < 40u);
    }
    setenv("TERM", "dumb", 1);
    BOOST_TEST((shown(100, copy_blob).find('\033') == std::string::npos));
    setenv("TERM", "xterm", 1);
}

BOOST_AUTO_TEST_CASE(nothing_is_shown_when_quiet) {
    log::set_threshold(log::Level::warning);
    BOOST_TEST(shown(0, copy_blob) == "");
    BOOST_TEST(shown(100, copy_blob) == "");
    log::set_threshold(log::Level::info);
}

BOOST_AUTO_TEST_CASE(lines_of_the_log_stand_above_the_bars) {
    setenv("TERM", "xterm", 1);
    const std::string text = shown(100, [] {
        const auto progress = terminal_progress();
        const std::unique_ptr<Progress::Bar> bar(progress->begin("Copying", 10));
        log::warning("a line");
        bar->end(SG_EIO);
    });
    BOOST_TEST((text.find("\033[1A\033[JWARNING: a line") != std::string::npos || text.find("\033[1A\033[J\033[33mWARNING: \033[0ma line") != std::string::npos), text);
    BOOST_TEST((text.find("failed") != std::string::npos));
}
