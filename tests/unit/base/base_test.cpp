#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <thread>

#include "base/call.hpp"
#include "base/cores.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/nearest.hpp"
#include "base/unique_fd.hpp"
#include "base/whole_io.hpp"

using namespace sg;

namespace {

// What `f` writes to stderr.
template <class F>
std::string captured(F&& f) {
    int ends[2];
    BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reading(ends[0]), before(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    f();
    dup2(before.get(), STDERR_FILENO);
    std::string out(4096, '\0');
    const ssize_t n = read(reading.get(), out.data(), out.size());
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(edits_are_counted_as_a_typist_makes_them) {
    BOOST_TEST(edit_distance("docker", "docker") == 0u);
    BOOST_TEST(edit_distance("docekr", "docker") == 1u);  // two neighbours swapped
    BOOST_TEST(edit_distance("dcker", "docker") == 1u);
    BOOST_TEST(edit_distance("DOCKER", "docker") == 0u);
    BOOST_TEST(edit_distance("", "abc") == 3u);
    BOOST_TEST(edit_distance(std::string(300, 'a'), "b") == 300u);
}

BOOST_AUTO_TEST_CASE(the_nearest_word_is_one_that_may_be_meant) {
    BOOST_TEST(nearest("thread", {"threads", "compress"}) == "threads");
    BOOST_TEST(nearest("ocy-archive", {"oci", "oci-archive"}) == "oci-archive");
    BOOST_TEST(nearest("quite-another", {"oci", "sif"}) == "");
    BOOST_TEST(nearest("x", {}) == "");
    BOOST_TEST(did_you_mean("thread", {"threads"}) == "Did you mean 'threads'?");
    BOOST_TEST(did_you_mean("zzzzzz", {"threads"}) == "");
}

BOOST_AUTO_TEST_CASE(lines_have_the_prefixes_that_callers_read) {
    BOOST_TEST(captured([] { log::info("text"); }) == "INFO:    text\n");
    BOOST_TEST(captured([] { log::warning("text"); }) == "WARNING: text\n");
    BOOST_TEST(captured([] { log::error("text"); }) == "ERROR:   text\n");
    BOOST_TEST(captured([] { log::fatal("text"); }) == "FATAL:   text\n");
    BOOST_TEST(captured([] { log::plain("Copying"); }) == "Copying\n");
    BOOST_TEST(captured([] { log::debug("text"); }) == "");
}

BOOST_AUTO_TEST_CASE(no_text_of_a_stranger_steers_the_terminal) {
    const auto told = [](std::string_view text) { return captured([&] { log::plain(text); }); };
    BOOST_TEST(told("two\nlines\tand a tab") == "two\nlines\tand a tab\n");
    BOOST_TEST(told("caf\u00e9 \u65e5\u672c \U0001f600") == "caf\u00e9 \u65e5\u672c \U0001f600\n");
    BOOST_TEST(told("\x1b[31m\x07\r\x7f") == "?[31m???\n");
    // C1 controls: a CSI of one character, which xterm obeys.
    BOOST_TEST(told("a\u009b31m b\u0085") == "a?31m b?\n");
    BOOST_TEST(told("a\x9b"
                    "31m") == "a?31m\n");
    BOOST_TEST(told("fis.\u202egpj.\u202c \u2066x\u2069\u200f") == "fis.?gpj.? ?x??\n");
    BOOST_TEST(told("a\u2028FATAL:   b") == "a?FATAL:   b\n");
    BOOST_TEST(told("cut \xe2\x82") == "cut ?\n");
    BOOST_TEST(told("\xed\xa0\x80 \xc0\x80 \xff") == "? ? ?\n");
    BOOST_TEST(captured([] { log::fatal("evil\x1b]0;title\x07"); }) == "FATAL:   evil?]0;title?\n");
}

BOOST_AUTO_TEST_CASE(what_draws_at_the_cursor_steps_aside_for_lines) {
    struct Drawing : log::Overlay {
        std::string seen;
        void hide() override { seen += "hide "; }
        void show() override { seen += "show "; }
    } drawing;
    log::set_overlay(&drawing);
    captured([] { log::info("a line"), log::debug("none"); });
    log::set_overlay(nullptr);
    BOOST_TEST(drawing.seen == "hide show ");
}

BOOST_AUTO_TEST_CASE(a_cancel_token_can_be_polled_and_waited_for) {
    CancelToken token;
    token.poll();
    BOOST_TEST(!token.cancelled());
    token.cancel();
    BOOST_TEST(token.cancelled());
    uint64_t n = 0;
    BOOST_TEST(read(token.fd(), &n, sizeof n) == static_cast<ssize_t>(sizeof n));
    BOOST_CHECK_THROW(token.poll(), Error);
}

BOOST_AUTO_TEST_CASE(a_name_of_a_stranger_cannot_move_the_cursor) {
    sg_error err{};
    singularity::fill(&err, Code::invalid, "cannot open 'a\nb\x1b[2J\x7f'", "two\tlines\r\nhint", "kept\nas it is");
    BOOST_TEST(std::string(err.message) == "cannot open 'a b?[2J?'");
    BOOST_TEST(std::string(err.hint) == "two lines  hint");
    BOOST_TEST(std::string(err.detail) == "kept\nas it is");
}

BOOST_AUTO_TEST_CASE(errno_becomes_a_code_and_a_sentence) {
    const Error e = system_error(ENOSPC, "cannot write", "/x");
    BOOST_TEST((e.code() == Code::no_space));
    BOOST_TEST(e.message() == "cannot write /x: No space left on device");
    BOOST_TEST(exit_code(Code::usage) == 1);
    BOOST_TEST(exit_code(Code::not_found) == 255);
}

BOOST_AUTO_TEST_CASE(there_is_at_least_one_core) { BOOST_TEST(usable_cores() >= 1u); }

BOOST_AUTO_TEST_CASE(what_a_pipe_takes_in_pieces_arrives_whole_and_an_early_end_is_told) {
    int ends[2];
    BOOST_REQUIRE_EQUAL(pipe(ends), 0);
    std::string sent(300000, 'x');  // more than a pipe holds
    for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7);
    std::string got(sent.size(), '\0');
    std::thread writer([&] {
        BOOST_TEST(sg::write_all(ends[1], sent.data(), sent.size()));
        close(ends[1]);
    });
    BOOST_TEST(sg::read_exactly(ends[0], got.data(), got.size()));
    BOOST_TEST((got == sent));
    writer.join();
    char more;
    BOOST_TEST(!sg::read_exactly(ends[0], &more, 1));
    close(ends[0]);
    BOOST_TEST(!sg::write_all(-1, "x", 1));
}
