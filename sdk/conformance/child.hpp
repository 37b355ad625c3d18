// One check in a process of its own: a crash, a hang, an early exit and words on stdout are findings.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace conformance {

enum class State { passed, noted, skipped, failed };

struct Outcome {
    std::string check;
    State state = State::passed;
    std::vector<std::string> failures, notes;
    std::string skipped;  // why
};

// What a check says; in the child.
class Probe {
public:
    explicit Probe(int fd) : fd_(fd) {}
    // What is being done from now on: named when the process ends in the middle of it.
    void step(const std::string& what) { say('S', what); }
    void fail(const std::string& what);
    void note(const std::string& what) { say('N', what); }
    // Ends the check.
    [[noreturn]] void skip(const std::string& why);
    // fail() unless it holds.
    bool expect(bool holds, const std::string& otherwise) {
        if (!holds) fail(otherwise);
        return holds;
    }
    // Enough to see what is wrong; more would be the same again.
    bool tired() const { return failures_ >= 8; }
    // Why the last call of the plugin failed, as ": MESSAGE (HINT)", for the text of a finding; "" when it did not.
    const std::string& why() const { return why_; }
    void because(std::string why) { why_ = std::move(why); }
    void done() { say('D', ""); }

private:
    void say(char kind, const std::string& text);
    int fd_;
    unsigned failures_ = 0;
    std::string why_;
};

struct Skipped {};

struct Limits {
    unsigned seconds = 30;   // for the whole check
    bool may_print = false;  // on stdout
    bool verbose = false;    // its stderr is shown
};

// Runs `check` in a child with stdin and stdout away, in the directory `home`, which is HOME too. It ends by exit(), so
// that destructors of the object run.
Outcome run_check(const std::string& name, const std::string& home, const Limits& limits,
                  const std::function<void(Probe&)>& check);

}  // namespace conformance
