// A small part of the POSIX shell language, enough for the scripts that tools put into images: assignments,
// export, unset, if, for, case, test, eval, set, exec. With it most images need no shell at a start,
// and images without one still get their environment.
//
// Whatever it does not know (pipes, substitutions, redirections, functions, other programs) it refuses as
// a whole with NotUnderstood: then a real shell does all of it. What it does know it does as dash does; where
// bash (which other runtimes' interpreters follow) differs in an export's word splitting, as bash does.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace launcher {

struct NotUnderstood {
    std::string what;
};
struct ScriptExit {
    int status;
};
struct ScriptExec {  // `exec WORDS`
    std::vector<std::string> words;
};

struct Variable {
    std::string value;
    bool exported = false, read_only = false;
};

struct Command;  // a parsed command (script_parser.hpp)

class Interpreter {
public:
    std::map<std::string, Variable> variables;
    std::vector<std::string> positional;
    std::string name = "sh";  // $0
    // What it wants to print on descriptor 1 or 2; the caller prints it when all went well.
    std::vector<std::pair<int, std::string>> output;

    // Runs the text. Throws NotUnderstood (variables are then unspecified), ScriptExit, ScriptExec.
    void run(std::string_view text);
    int status() const { return status_; }

    bool is_set(const std::string& name) const { return variables.count(name) > 0; }
    std::string get(const std::string& name) const;
    void assign(const std::string& name, std::string value, bool exported = false);
    // `"text"` as the shell would expand it between double quotes.
    std::string expand_quoted(std::string_view text);

private:
    friend class Evaluation;
    int status_ = 0;
    unsigned depth_ = 0;
};

bool is_name(std::string_view text);  // [A-Za-z_][A-Za-z0-9_]*

}  // namespace launcher
