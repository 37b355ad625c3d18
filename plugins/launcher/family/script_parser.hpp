// The syntax tree of script.hpp and the parser that makes it.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace launcher {

struct Part;
using Word = std::vector<Part>;

struct Part {
    bool quoted = false;
    bool parameter = false;
    std::string text;  // literal text, or the parameter's name
    std::string op;    // of ${name OP word}: "", "-", ":-", "+", ":+", "=", ":=", "length", "#", "##", "%", "%%"
    Word word;         // its word
};

struct CaseArm {
    std::vector<Word> patterns;
    std::shared_ptr<struct Command> body;
};

struct Assignment {
    std::string name;
    Word value;
};

struct Command {
    enum Kind { simple, list, and_or, negated, if_, for_, case_ } kind = simple;
    std::vector<Assignment> assignments;            // simple
    bool to_errors = false, to_nothing = false;     // simple: ">&2", ">/dev/null"
    std::vector<Word> words;                        // simple; for: the list; case: the subject
    std::vector<std::shared_ptr<Command>> children; // list; and_or: left, right; negated: one; if: condition, then, ..., [else]; for: body
    bool is_and = false;                            // and_or
    bool default_list = false;                      // for without `in`
    std::string name;                               // for: the variable
    std::vector<CaseArm> arms;
};

// Throws NotUnderstood for everything outside of the language, also for wrong syntax.
std::shared_ptr<Command> parse_script(std::string_view text);
Word parse_double_quoted(std::string_view text);

}  // namespace launcher
