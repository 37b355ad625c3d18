#include "family/script_parser.hpp"

#include "family/script.hpp"

namespace launcher {

bool is_name(std::string_view text) {
    if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
    for (const char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
    return true;
}

namespace {

[[noreturn]] void refuse(std::string what) { throw NotUnderstood{std::move(what)}; }

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_char(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::shared_ptr<Command> script() {
        auto body = list({});
        if (at_ < text_.size()) refuse("unexpected '" + std::string(1, text_[at_]) + "'");
        return body;
    }

    // Everything between double quotes up to `close` ('\0': the end of the text).
    void double_quoted(Word& out, char close) {
        literal(out, "", true);  // even "" makes a field
        for (;;) {
            if (at_ >= text_.size()) {
                if (close == '\0') return;
                refuse("a quote is not closed");
            }
            const char c = text_[at_];
            if (close != '\0' && c == close) {
                ++at_;
                return;
            }
            if (c == '\\' && at_ + 1 < text_.size()) {
                const char next = text_[at_ + 1];
                at_ += 2;
                if (next == '\n') continue;
                if (next == '$' || next == '`' || next == '"' || next == '\\')
                    literal(out, std::string(1, next), true);
                else
                    literal(out, std::string("\\") + next, true);
            } else if (c == '$') {
                dollar(out, true);
            } else if (c == '`') {
                refuse("a command substitution");
            } else {
                literal(out, std::string(1, c), true);
                ++at_;
            }
        }
    }

private:
    static void literal(Word& out, std::string_view text, bool quoted) {
        if (!out.empty() && !out.back().parameter && out.back().quoted == quoted) {
            out.back().text.append(text);
            return;
        }
        Part p;
        p.quoted = quoted;
        p.text = text;
        out.push_back(std::move(p));
    }

    void skip_blanks() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == ' ' || c == '\t' || c == '\r') {
                if (c == '\r') refuse("a carriage return");
                ++at_;
            } else if (c == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') {
                at_ += 2;
            } else if (c == '#') {
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            } else {
                return;
            }
        }
    }

    void skip_newlines() {
        for (;;) {
            skip_blanks();
            if (at_ < text_.size() && text_[at_] == '\n')
                ++at_;
            else
                return;
        }
    }

    // The unquoted word that comes next, without taking it; "" when there is none.
    std::string_view peek_word() {
        skip_blanks();
        size_t end = at_;
        while (end < text_.size() && is_name_char(text_[end])) ++end;
        if (end == at_ && end < text_.size() && (text_[end] == '!' || text_[end] == '{' || text_[end] == '}')) ++end;
        if (end < text_.size() && std::string_view(" \t\n;&|()<>").find(text_[end]) == std::string_view::npos) return {};
        return text_.substr(at_, end - at_);
    }

    bool take_word(std::string_view word) {
        if (peek_word() != word) return false;
        at_ += word.size();
        return true;
    }

    void need_word(std::string_view word) {
        skip_newlines();
        if (!take_word(word)) refuse("'" + std::string(word) + "' is missing");
    }

    bool take_operator(std::string_view op) {
        skip_blanks();
        if (text_.substr(at_, op.size()) != op) return false;
        at_ += op.size();
        return true;
    }

    static bool among(std::string_view word, const std::vector<std::string_view>& words) {
        for (const auto w : words)
            if (w == word) return true;
        return false;
    }

    // Commands up to one of the closing words, which is not taken; ";;" ends an arm of a case.
    std::shared_ptr<Command> list(const std::vector<std::string_view>& ends) {
        if (++depth_ > 64) refuse("deep nesting");
        auto out = std::make_shared<Command>();
        out->kind = Command::list;
        for (;;) {
            skip_newlines();
            if (at_ >= text_.size() || text_.substr(at_, 2) == ";;" || text_[at_] == ')') break;
            if (among(peek_word(), ends)) break;
            out->children.push_back(and_or());
            skip_blanks();
            if (at_ >= text_.size()) break;
            if (text_.substr(at_, 2) == ";;") break;
            if (text_[at_] == ';' || text_[at_] == '\n')
                ++at_;
            else
                refuse("'" + std::string(1, text_[at_]) + "'");
        }
        --depth_;
        return out;
    }

    std::shared_ptr<Command> and_or() {
        auto left = pipeline();
        for (;;) {
            const bool is_and = take_operator("&&");
            if (!is_and && !take_operator("||")) return left;
            skip_newlines();
            auto both = std::make_shared<Command>();
            both->kind = Command::and_or;
            both->is_and = is_and;
            both->children = {left, pipeline()};
            left = both;
        }
    }

    std::shared_ptr<Command> pipeline() {
        if (!take_word("!")) return command();
        auto out = std::make_shared<Command>();
        out->kind = Command::negated;
        out->children = {command()};
        return out;
    }

    std::shared_ptr<Command> command() {
        if (take_word("if")) return if_command();
        if (take_word("for")) return for_command();
        if (take_word("case")) return case_command();
        if (take_word("{")) {
            auto body = list({"}"});
            need_word("}");
            return body;
        }
        for (const auto word : {"while", "until", "function", "select", "then", "else", "elif", "fi", "do", "done", "esac", "in", "}"})
            if (peek_word() == word) refuse("'" + std::string(word) + "'");
        return simple_command();
    }

    std::shared_ptr<Command> if_command() {
        auto out = std::make_shared<Command>();
        out->kind = Command::if_;
        out->children.push_back(list({"then"}));
        need_word("then");
        out->children.push_back(list({"elif", "else", "fi"}));
        for (;;) {
            if (take_word("elif")) {
                out->children.push_back(list({"then"}));
                need_word("then");
                out->children.push_back(list({"elif", "else", "fi"}));
            } else if (take_word("else")) {
                out->children.push_back(list({"fi"}));
                need_word("fi");
                return out;
            } else {
                need_word("fi");
                return out;
            }
        }
    }

    std::shared_ptr<Command> for_command() {
        auto out = std::make_shared<Command>();
        out->kind = Command::for_;
        out->name = peek_word();
        if (!is_name(out->name)) refuse("the variable of a loop");
        at_ += out->name.size();
        skip_newlines();
        if (take_word("in")) {
            for (;;) {
                skip_blanks();
                if (at_ >= text_.size() || text_[at_] == ';' || text_[at_] == '\n') break;
                out->words.push_back(word());
            }
            if (at_ < text_.size()) ++at_;
        } else {
            out->default_list = true;
            (void)take_operator(";");
        }
        need_word("do");
        out->children.push_back(list({"done"}));
        need_word("done");
        return out;
    }

    std::shared_ptr<Command> case_command() {
        auto out = std::make_shared<Command>();
        out->kind = Command::case_;
        skip_blanks();
        out->words.push_back(word());
        need_word("in");
        for (;;) {
            skip_newlines();
            if (take_word("esac")) return out;
            CaseArm arm;
            (void)take_operator("(");
            do {
                skip_blanks();
                arm.patterns.push_back(word());
            } while (take_operator("|"));
            if (!take_operator(")")) refuse("a case without ')'");
            arm.body = list({"esac"});
            out->arms.push_back(std::move(arm));
            if (!take_operator(";;")) {
                need_word("esac");
                return out;
            }
        }
    }

    std::shared_ptr<Command> simple_command() {
        auto out = std::make_shared<Command>();
        for (;;) {
            skip_blanks();
            if (at_ >= text_.size()) break;
            const char c = text_[at_];
            if (c == '\n' || c == ';' || c == ')') break;
            if (c == '&' && text_.substr(at_, 2) == "&&") break;
            if (c == '|' && text_.substr(at_, 2) == "||") break;
            if (redirection(*out)) continue;
            if (c == '&' || c == '|' || c == '(' || c == '<' || c == '>') refuse("'" + std::string(1, c) + "'");
            if (out->words.empty()) {
                size_t end = at_;
                while (end < text_.size() && is_name_char(text_[end])) ++end;
                if (end > at_ && end < text_.size() && text_[end] == '=' && is_name_start(c)) {
                    Assignment a;
                    a.name = text_.substr(at_, end - at_);
                    at_ = end + 1;
                    a.value = word();
                    out->assignments.push_back(std::move(a));
                    continue;
                }
                if (end < text_.size() && end > at_ && (text_[end] == '(' || text_[end] == '[' || text_[end] == '+'))
                    refuse("a function or an array");
            }
            out->words.push_back(word());
        }
        if (out->words.empty() && (out->assignments.empty() || out->to_errors || out->to_nothing)) refuse("an empty command");
        return out;
    }

    // The few that scripts of an environment have: output to the errors or to nowhere, errors to nowhere.
    bool redirection(Command& out) {
        static constexpr struct {
            std::string_view text;
            bool errors, nothing;
        } known[] = {{">&2", true, false},         {"1>&2", true, false},           {"2>&1", false, false},
                     {">/dev/null", false, true},  {"> /dev/null", false, true},    {"1>/dev/null", false, true},
                     {"2>/dev/null", false, false}, {"2> /dev/null", false, false}};
        for (const auto& k : known) {
            if (text_.substr(at_, k.text.size()) != k.text) continue;
            const size_t end = at_ + k.text.size();
            if (end < text_.size() && std::string_view(" \t\n;").find(text_[end]) == std::string_view::npos) continue;
            // Order matters to a shell when there are several: not here.
            if (out.to_errors || out.to_nothing) refuse("several redirections");
            out.to_errors = k.errors;
            out.to_nothing = k.nothing;
            at_ = end;
            return true;
        }
        return false;
    }

    Word word() {
        Word out;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == ' ' || c == '\t' || c == '\n' || c == ';' || c == '&' || c == '|' || c == '(' || c == ')' || c == '<' || c == '>') {
                if (c == '(' || c == '<' || c == '>') refuse("'" + std::string(1, c) + "'");
                break;
            }
            if (c == '\r') refuse("a carriage return");
            plain(out, c);
        }
        return out;
    }

    // One character or construct outside of double quotes.
    void plain(Word& out, char c) {
        if (c == '\'') {
            const size_t end = text_.find('\'', at_ + 1);
            if (end == std::string_view::npos) refuse("a quote is not closed");
            literal(out, text_.substr(at_ + 1, end - at_ - 1), true);
            at_ = end + 1;
        } else if (c == '"') {
            ++at_;
            double_quoted(out, '"');
        } else if (c == '\\') {
            if (at_ + 1 >= text_.size()) refuse("a backslash at the end");
            if (text_[at_ + 1] != '\n') literal(out, text_.substr(at_ + 1, 1), true);
            at_ += 2;
        } else if (c == '$') {
            dollar(out, false);
        } else if (c == '`') {
            refuse("a command substitution");
        } else {
            literal(out, std::string(1, c), false);
            ++at_;
        }
    }

    void dollar(Word& out, bool quoted) {
        Part p;
        p.parameter = true;
        p.quoted = quoted;
        const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
        if (next == '{') {
            at_ += 2;
            braced(p, quoted);
            out.push_back(std::move(p));
            return;
        }
        if (is_name_start(next)) {
            size_t end = at_ + 1;
            while (end < text_.size() && is_name_char(text_[end])) ++end;
            p.text = text_.substr(at_ + 1, end - at_ - 1);
            at_ = end;
        } else if ((next >= '0' && next <= '9') || next == '@' || next == '*' || next == '#' || next == '?') {
            p.text = std::string(1, next);
            at_ += 2;
        } else if (next == '(' || next == '$' || next == '!' || next == '-' || (!quoted && (next == '\'' || next == '"'))) {
            refuse(std::string("'$") + next + "'");
        } else {
            literal(out, "$", quoted);
            ++at_;
            return;
        }
        out.push_back(std::move(p));
    }

    // After "${".
    void braced(Part& p, bool quoted) {
        if (++depth_ > 64) refuse("deep nesting");
        if (text_.substr(at_, 1) == "#" && text_.substr(at_, 2) != "#}") {
            p.op = "length";
            ++at_;
        }
        size_t end = at_;
        if (end < text_.size() && is_name_start(text_[end]))
            while (end < text_.size() && is_name_char(text_[end])) ++end;
        else if (end < text_.size() && text_[end] >= '0' && text_[end] <= '9')
            while (end < text_.size() && text_[end] >= '0' && text_[end] <= '9') ++end;
        else if (end < text_.size() && (text_[end] == '@' || text_[end] == '*' || text_[end] == '#' || text_[end] == '?'))
            ++end;
        if (end == at_) refuse("a parameter without a name");
        p.text = text_.substr(at_, end - at_);
        at_ = end;
        if (p.op.empty()) {
            for (const char* op : {":-", ":+", ":=", "-", "+", "=", "##", "%%", "#", "%"}) {
                if (text_.substr(at_, std::string_view(op).size()) != op) continue;
                p.op = op;
                at_ += p.op.size();
                break;
            }
            const bool pattern = p.op == "#" || p.op == "##" || p.op == "%" || p.op == "%%";
            if (!p.op.empty()) braced_word(p.word, quoted && !pattern);
        }
        if (at_ >= text_.size() || text_[at_] != '}') refuse("a form of ${}");
        ++at_;
        --depth_;
    }

    // The word of ${name:-word}: up to the closing brace.
    void braced_word(Word& out, bool quoted) {
        while (at_ < text_.size() && text_[at_] != '}') {
            const char c = text_[at_];
            if (!quoted) {
                plain(out, c);
            } else if (c == '"') {
                ++at_;
                double_quoted(out, '"');
            } else if (c == '\\' && at_ + 1 < text_.size()) {
                const char next = text_[at_ + 1];
                if (next == '$' || next == '`' || next == '"' || next == '\\' || next == '}')
                    literal(out, std::string(1, next), true);
                else if (next != '\n')
                    literal(out, std::string("\\") + next, true);
                at_ += 2;
            } else if (c == '$') {
                dollar(out, true);
            } else if (c == '`') {
                refuse("a command substitution");
            } else {
                literal(out, std::string(1, c), true);
                ++at_;
            }
        }
    }

    std::string_view text_;
    size_t at_ = 0;
    unsigned depth_ = 0;
};

}  // namespace

std::shared_ptr<Command> parse_script(std::string_view text) { return Parser(text).script(); }

Word parse_double_quoted(std::string_view text) {
    Word out;
    Parser(text).double_quoted(out, '\0');
    return out;
}

}  // namespace launcher
