#include "family/script.hpp"

#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include "family/script_parser.hpp"
#include "family/system.hpp"

namespace launcher {
namespace {

[[noreturn]] void refuse(std::string what) { throw NotUnderstood{std::move(what)}; }

struct Return {
    int status;
};

constexpr size_t script_limit = 1u << 20;
constexpr unsigned depth_limit = 32;

}  // namespace

class Evaluation {
public:
    explicit Evaluation(Interpreter& shell) : shell_(shell) {}

    void run(const Command& c) {
        switch (c.kind) {
            case Command::list:
                for (const auto& child : c.children) run(*child);
                return;
            case Command::and_or:
                run(*c.children[0]);
                if ((shell_.status_ == 0) == c.is_and) run(*c.children[1]);
                return;
            case Command::negated:
                run(*c.children[0]);
                shell_.status_ = shell_.status_ == 0 ? 1 : 0;
                return;
            case Command::if_: return if_command(c);
            case Command::for_: return for_command(c);
            case Command::case_: return case_command(c);
            case Command::simple: return simple(c);
        }
    }

    std::string single(const Word& word) {  // no splitting, no globbing: assignments
        std::string out;
        for (const auto& p : word) {
            if (!p.parameter) {
                if (!p.quoted && !p.text.empty() && (p.text[0] == '~' || p.text.find(":~") != std::string::npos))
                    refuse("a tilde");
                out += p.text;
            } else if (p.text == "@" || p.text == "*") {
                for (size_t i = 0; i < shell_.positional.size(); ++i) out.append(i ? " " : "").append(shell_.positional[i]);
            } else {
                out += value(p);
            }
        }
        return out;
    }

private:
    void if_command(const Command& c) {
        size_t i = 0;
        for (; i + 1 < c.children.size(); i += 2) {
            run(*c.children[i]);
            if (shell_.status_ == 0) return run_arm(*c.children[i + 1]);
        }
        if (i < c.children.size()) return run_arm(*c.children[i]);
        shell_.status_ = 0;
    }

    void run_arm(const Command& c) {
        if (c.children.empty()) shell_.status_ = 0;
        run(c);
    }

    void for_command(const Command& c) {
        std::vector<std::string> items = c.default_list ? shell_.positional : std::vector<std::string>();
        for (const auto& w : c.words) fields(w, items);
        shell_.status_ = 0;
        for (const auto& item : items) {
            set(c.name, item);
            run(*c.children[0]);
        }
    }

    void case_command(const Command& c) {
        const std::string subject = single(c.words[0]);
        shell_.status_ = 0;
        for (const auto& arm : c.arms)
            for (const auto& pattern : arm.patterns)
                if (::fnmatch(as_pattern(pattern).c_str(), subject.c_str(), 0) == 0) return run_arm(*arm.body);
    }

    // Text for fnmatch(3): quoted characters stand for themselves.
    std::string as_pattern(const Word& word) {
        std::string out;
        for (const auto& p : word) {
            const std::string text = p.parameter ? value(p) : p.text;
            for (const char ch : text) {
                if (p.quoted && std::string_view("*?[]\\!-^").find(ch) != std::string_view::npos) out.push_back('\\');
                out.push_back(ch);
            }
        }
        return out;
    }

    void set(const std::string& name, std::string text) {
        const auto it = shell_.variables.find(name);
        if (it != shell_.variables.end() && it->second.read_only) refuse("a change of the read-only " + name);
        if (name == "IFS") refuse("a change of IFS");
        shell_.assign(name, std::move(text));
    }

    bool lookup(const std::string& name, std::string& out) {
        if (name == "#") return out = std::to_string(shell_.positional.size()), true;
        if (name == "?") return out = std::to_string(shell_.status_), true;
        if (name[0] >= '0' && name[0] <= '9') {
            if (name.size() > 6) return false;
            const size_t n = std::stoul(name);
            if (n == 0) return out = shell_.name, true;
            if (n > shell_.positional.size()) return false;
            return out = shell_.positional[n - 1], true;
        }
        const auto it = shell_.variables.find(name);
        if (it == shell_.variables.end()) return false;
        return out = it->second.value, true;
    }

    std::string value(const Part& p) {
        if (p.text == "@" || p.text == "*") refuse("'$" + p.text + "' in this place");
        std::string text;
        const bool is_set = lookup(p.text, text);
        if (p.op.empty()) return text;
        if (p.op == "length") {
            for (const char c : text)
                if (static_cast<unsigned char>(c) >= 0x80) refuse("the length of a text that is not ASCII");
            return std::to_string(text.size());
        }
        const bool colon = p.op[0] == ':';
        const bool present = is_set && !(colon && text.empty());
        switch (p.op.back()) {
            case '-': return present ? text : single(p.word);
            case '+': return present ? single(p.word) : std::string();
            case '=':
                if (present) return text;
                if (!is_name(p.text)) refuse("an assignment to $" + p.text);
                text = single(p.word);
                set(p.text, text);
                return text;
            default: return trim(text, as_pattern(p.word), p.op);
        }
    }

    static std::string trim(const std::string& text, const std::string& pattern, const std::string& op) {
        if (text.size() > 4096) refuse("a pattern on a long text");
        const auto fits = [&](size_t from, size_t count) { return ::fnmatch(pattern.c_str(), text.substr(from, count).c_str(), 0) == 0; };
        const size_t n = text.size();
        for (size_t i = 0; i <= n; ++i) {
            const size_t k = op.size() == 2 ? n - i : i;  // longest or shortest first
            if (op[0] == '#' && fits(0, k)) return text.substr(k);
            if (op[0] == '%' && fits(n - k, k)) return text.substr(0, n - k);
        }
        return text;
    }

    static bool is_glob(std::string_view text) {
        return text.find_first_of("*?") != std::string_view::npos ||
               (text.find('[') != std::string_view::npos && text.find(']') != std::string_view::npos);
    }

    // Splitting at blanks, as with the default IFS; names are never matched against files.
    void fields(const Word& word, std::vector<std::string>& out) {
        std::string current;
        bool open = false;
        const auto close = [&] {
            if (open) out.push_back(current);
            current.clear();
            open = false;
        };
        std::string unquoted;
        for (size_t i = 0; i < word.size(); ++i) {
            const Part& p = word[i];
            if (p.parameter && (p.text == "@" || p.text == "*")) {
                if (!p.quoted || !p.op.empty() || p.text == "*") refuse("'$" + p.text + "' in this form");
                for (size_t k = 0; k < shell_.positional.size(); ++k) {
                    if (k > 0) close();
                    current += shell_.positional[k];
                    open = true;
                }
                continue;
            }
            if (!p.parameter) {
                if (!p.quoted) {
                    if (i == 0 && !p.text.empty() && p.text[0] == '~') refuse("a tilde");
                    unquoted += p.text;
                    if (p.text.find('{') != std::string::npos) refuse("braces");  // bash expands them, dash does not
                }
                // The quotes around "$@" alone make no field.
                const bool only_at = p.quoted && p.text.empty() && i + 1 < word.size() && word[i + 1].parameter && word[i + 1].text == "@";
                current += p.text;
                open = open || !only_at;
                continue;
            }
            const std::string text = value(p);
            if (p.quoted) {
                current += text;
                open = true;
                continue;
            }
            unquoted += text;
            for (const char c : text) {
                if (c == ' ' || c == '\t' || c == '\n') {
                    close();
                } else {
                    current.push_back(c);
                    open = true;
                }
            }
        }
        if (is_glob(unquoted)) refuse("a file name pattern");
        close();
    }

    void simple(const Command& c) {
        if (c.words.empty()) {
            for (const auto& a : c.assignments) set(a.name, single(a.value));
            shell_.status_ = 0;
            return;
        }
        if (!c.assignments.empty()) refuse("an assignment before a command");
        const Word& first = c.words[0];
        if (first.size() != 1 || first[0].parameter || first[0].quoted) refuse("a command that is computed");
        const std::string& command = first[0].text;
        if (command == "export" || command == "readonly") return export_names(c, command == "readonly");
        std::vector<std::string> args;
        for (size_t i = 1; i < c.words.size(); ++i) fields(c.words[i], args);
        // Others print nothing, but a shell says what is wrong with them: not ours to redirect.
        if (command == "exec" && (c.to_errors || c.to_nothing)) refuse("exec with a redirection");
        const size_t before = shell_.output.size();
        shell_.status_ = builtin(command, args);
        for (size_t i = before; i < shell_.output.size() && c.to_errors; ++i) shell_.output[i].first = 2;
        if (c.to_nothing) shell_.output.resize(before);
    }

    // Arguments of the form NAME=word are assignments: not split.
    void export_names(const Command& c, bool read_only) {
        for (size_t i = 1; i < c.words.size(); ++i) {
            const Word& w = c.words[i];
            const size_t equal = !w.empty() && !w[0].parameter && !w[0].quoted ? w[0].text.find('=') : std::string::npos;
            if (equal != std::string::npos && is_name(w[0].text.substr(0, equal))) {
                const std::string name = w[0].text.substr(0, equal);
                Word rest = w;
                rest[0].text.erase(0, equal + 1);
                set(name, single(rest));
                mark(name, read_only);
                continue;
            }
            std::vector<std::string> names;
            fields(w, names);
            for (const auto& name : names) {
                if (!is_name(name)) refuse("'" + name + "' after export");
                mark(name, read_only);
            }
        }
        shell_.status_ = 0;
    }

    void mark(const std::string& name, bool read_only) {
        const auto it = shell_.variables.find(name);
        if (it == shell_.variables.end()) {
            // The attribute waits for a value in a real shell; nobody writes that here.
            if (read_only) refuse("readonly of an unset variable");
            pending_.push_back(name);
            return;
        }
        (read_only ? it->second.read_only : it->second.exported) = true;
    }

    int builtin(const std::string& command, const std::vector<std::string>& args) {
        if (command == ":" || command == "true") return 0;
        if (command == "false") return 1;
        if (command == "test") return test(args, 0, args.size());
        if (command == "[") {
            if (args.empty() || args.back() != "]") refuse("'[' without ']'");
            return test(args, 0, args.size() - 1);
        }
        if (command == "unset") return unset(args);
        if (command == "set") return set_positional(args);
        if (command == "shift") return shift(args);
        if (command == "echo") return echo(args);
        if (command == "eval") return eval(args);
        if (command == "exec") {
            if (args.empty()) return 0;
            if (!args[0].empty() && args[0][0] == '-') refuse("an option of exec");
            throw ScriptExec{args};
        }
        if (command == "exit") throw ScriptExit{number(args)};
        if (command == "return") throw Return{number(args)};
        if (command == "." || command == "source") return source(args);
        refuse("the command '" + command + "'");
    }

    int number(const std::vector<std::string>& args) {
        if (args.empty()) return shell_.status_;
        if (args.size() > 1 || args[0].empty() || args[0].size() > 3 || args[0].find_first_not_of("0123456789") != std::string::npos)
            refuse("a status that is no number");
        return std::stoi(args[0]) & 255;
    }

    int unset(const std::vector<std::string>& args) {
        size_t i = 0;
        if (!args.empty() && args[0] == "-v") i = 1;
        for (; i < args.size(); ++i) {
            if (!is_name(args[i])) refuse("'" + args[i] + "' after unset");
            const auto it = shell_.variables.find(args[i]);
            if (it == shell_.variables.end()) continue;
            if (it->second.read_only) refuse("unset of the read-only " + args[i]);
            shell_.variables.erase(it);
        }
        return 0;
    }

    int set_positional(const std::vector<std::string>& args) {
        if (args.empty()) refuse("set without arguments");
        if (args[0] == "--") {
            shell_.positional.assign(args.begin() + 1, args.end());
            return 0;
        }
        if (args[0].empty() || (args[0][0] != '-' && args[0][0] != '+')) {
            shell_.positional = args;
            return 0;
        }
        refuse("an option of set");
    }

    int shift(const std::vector<std::string>& args) {
        const size_t n = args.empty() ? 1 : static_cast<size_t>(number(args));
        if (n > shell_.positional.size()) refuse("a shift beyond the end");
        shell_.positional.erase(shell_.positional.begin(), shell_.positional.begin() + static_cast<std::ptrdiff_t>(n));
        return 0;
    }

    int echo(const std::vector<std::string>& args) {
        std::string line;
        for (size_t i = 0; i < args.size(); ++i) {
            // dash and bash do not agree on these.
            if (args[i].find('\\') != std::string::npos || (i == 0 && !args[i].empty() && args[i][0] == '-')) refuse("this echo");
            line.append(i ? " " : "").append(args[i]);
        }
        shell_.output.emplace_back(1, line + "\n");
        return 0;
    }

    int eval(const std::vector<std::string>& args) {
        std::string text;
        for (size_t i = 0; i < args.size(); ++i) text.append(i ? " " : "").append(args[i]);
        nested(text);
        return shell_.status_;
    }

    int source(const std::vector<std::string>& args) {
        if (args.size() != 1 || args[0].find('/') == std::string::npos) refuse("this form of sourcing");
        std::string text;
        try {
            text = read_file(AT_FDCWD, args[0], script_limit);
        } catch (const Error&) {
            refuse("sourcing " + args[0]);
        }
        try {
            nested(text);
        } catch (const Return& r) {
            return r.status;
        }
        return shell_.status_;
    }

    void nested(const std::string& text) {
        if (++shell_.depth_ > depth_limit) refuse("deep nesting");
        shell_.status_ = 0;
        run(*parse_script(text));
        apply_pending();
        --shell_.depth_;
    }

public:
    void apply_pending() {
        for (const auto& name : pending_) {
            const auto it = shell_.variables.find(name);
            if (it != shell_.variables.end()) it->second.exported = true;
        }
    }

private:
    static int file_test(char op, const std::string& path) {
        struct stat s;
        switch (op) {
            case 'e': return ::stat(path.c_str(), &s) == 0 ? 0 : 1;
            case 'f': return ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) ? 0 : 1;
            case 'd': return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode) ? 0 : 1;
            case 's': return ::stat(path.c_str(), &s) == 0 && s.st_size > 0 ? 0 : 1;
            case 'h':
            case 'L': return ::lstat(path.c_str(), &s) == 0 && S_ISLNK(s.st_mode) ? 0 : 1;
            case 'r': return ::access(path.c_str(), R_OK) == 0 ? 0 : 1;
            case 'w': return ::access(path.c_str(), W_OK) == 0 ? 0 : 1;
            case 'x': return ::access(path.c_str(), X_OK) == 0 ? 0 : 1;
            default: refuse(std::string("test -") + op);
        }
    }

    static long integer(const std::string& text) {
        const size_t sign = !text.empty() && text[0] == '-' ? 1 : 0;
        if (text.size() == sign || text.size() > 15 || text.find_first_not_of("0123456789", sign) != std::string::npos)
            refuse("a number in test");
        return std::stol(text);
    }

    // The forms that POSIX defines by the number of arguments, and -a and -o between two of them.
    int test(const std::vector<std::string>& a, size_t from, size_t to) {
        const size_t n = to - from;
        if (n == 0) return 1;
        if (n == 1) return a[from].empty() ? 1 : 0;
        if (n == 2) {
            if (a[from] == "!") return a[from + 1].empty() ? 0 : 1;
            if (a[from] == "-n") return a[from + 1].empty() ? 1 : 0;
            if (a[from] == "-z") return a[from + 1].empty() ? 0 : 1;
            if (a[from].size() == 2 && a[from][0] == '-') return file_test(a[from][1], a[from + 1]);
            refuse("this form of test");
        }
        if (n == 3) {
            const std::string& op = a[from + 1];
            if (op == "=" || op == "==") return a[from] == a[from + 2] ? 0 : 1;
            if (op == "!=") return a[from] != a[from + 2] ? 0 : 1;
            if (op == "-eq") return integer(a[from]) == integer(a[from + 2]) ? 0 : 1;
            if (op == "-ne") return integer(a[from]) != integer(a[from + 2]) ? 0 : 1;
            if (op == "-gt") return integer(a[from]) > integer(a[from + 2]) ? 0 : 1;
            if (op == "-ge") return integer(a[from]) >= integer(a[from + 2]) ? 0 : 1;
            if (op == "-lt") return integer(a[from]) < integer(a[from + 2]) ? 0 : 1;
            if (op == "-le") return integer(a[from]) <= integer(a[from + 2]) ? 0 : 1;
            if (a[from] == "!") return test(a, from + 1, to) == 0 ? 1 : 0;
            refuse("this form of test");
        }
        if (n == 5 && (a[from + 2] == "-a" || a[from + 2] == "-o")) {
            const int left = test(a, from, from + 2), right = test(a, from + 3, to);
            return a[from + 2] == "-a" ? (left == 0 && right == 0 ? 0 : 1) : (left == 0 || right == 0 ? 0 : 1);
        }
        if (n == 4 && a[from] == "!") return test(a, from + 1, to) == 0 ? 1 : 0;
        refuse("this form of test");
    }

    Interpreter& shell_;
    std::vector<std::string> pending_;  // exported before they had a value
};

void Interpreter::run(std::string_view text) {
    if (text.size() > script_limit) refuse("a long script");
    if (text.find('\0') != std::string_view::npos) refuse("a NUL byte");
    depth_ = 0;
    status_ = 0;
    const auto tree = parse_script(text);
    Evaluation evaluation(*this);
    try {
        evaluation.run(*tree);
    } catch (const Return& r) {
        status_ = r.status;
    }
    evaluation.apply_pending();
}

std::string Interpreter::get(const std::string& name) const {
    const auto it = variables.find(name);
    return it == variables.end() ? std::string() : it->second.value;
}

void Interpreter::assign(const std::string& name, std::string value, bool exported) {
    Variable& v = variables[name];
    v.value = std::move(value);
    v.exported = v.exported || exported;
}

std::string Interpreter::expand_quoted(std::string_view text) { return Evaluation(*this).single(parse_double_quoted(text)); }

}  // namespace launcher
