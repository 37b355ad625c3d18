#include "definition/checks.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "definition/secrets.hpp"

namespace sg::definition {

namespace {

constexpr size_t longest_line = 1 << 16;  // of a script; longer ones are data and are not looked at

using Words = std::vector<std::string_view>;

Words words_of(std::string_view text) {
    Words out;
    for (size_t at = 0; at < text.size();) {
        const size_t first = text.find_first_not_of(" \t", at);
        if (first == std::string_view::npos) break;
        const size_t end = std::min(text.find_first_of(" \t", first), text.size());
        out.push_back(text.substr(first, end - first));
        at = end;
    }
    return out;
}

bool is_comment(const Line& line) { return trimmed(line.text).starts_with('#'); }

std::string_view unquoted(std::string_view word) {
    while (!word.empty() && (word[0] == '"' || word[0] == '\'')) word.remove_prefix(1);
    while (!word.empty() && (word.back() == '"' || word.back() == '\'' || word.back() == ';')) word.remove_suffix(1);
    return word;
}

bool is_below(std::string_view path, std::string_view top) {
    return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

// A place that the user's own directory hides when the image runs.
bool in_home(std::string_view path) {
    for (const std::string_view top : {"/root", "/home", "$HOME", "${HOME}", "~"})
        if (is_below(path, top)) return true;
    return false;
}
bool in_temporary(std::string_view path) { return is_below(path, "/tmp") || is_below(path, "/var/tmp"); }

class Checks {
public:
    Checks(const Definition& d, const Arguments& arguments) : d_(d), arguments_(arguments) {}

    std::vector<Finding> run() {
        found_ = d_.findings;
        for (const Stage& stage : d_.stages) {
            for (const Files& files : stage.files) destinations(files.pairs);
            for (const Section& section : stage.sections) {
                if (section.name == "post" || section.name == "setup") script(section);
                if (section.name == "post") libraries(section);
            }
        }
        for (const Line& line : d_.source.lines) secrets(line);
        for (const auto& [name, value] : arguments_.given)
            if (secret_name(name) && !value.empty())
                add("password", {}, "the build argument '" + name + "' looks like a secret, and every image made with it records it: use a file that %setup reads and removes");
        const Stage& last = d_.last();
        const Section* runscript = last.section("runscript");
        if (!runscript || runscript->blank())
            add("no-runscript", last.at, "no %runscript: 'singularity run' does what the base says, or nothing");
        silence();
        for (Finding& f : found_) f.message = shown_text(f.message);
        std::stable_sort(found_.begin(), found_.end(), [](const Finding& a, const Finding& b) {
            return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
        });
        return std::move(found_);
    }

private:
    void add(const char* rule, Position at, std::string message) { found_.push_back({Severity::warning, rule, at, std::move(message)}); }

    void destinations(const std::vector<FilePair>& pairs) {
        for (const FilePair& pair : pairs) {
            const std::string& to = pair.destination.empty() ? pair.source : pair.destination;
            if (in_home(to)) add("home-files", pair.at, "'" + to + "' is hidden when the image runs: the user's own home directory lies over it");
            if (in_temporary(to)) add("home-files", pair.at, "'" + to + "' is hidden when the image runs: the host's temporary directory lies over it");
        }
    }

    void script(const Section& section) {
        for (const Line& line : section.lines) {
            if (is_comment(line) || line.text.size() > longest_line) continue;
            const Words words = words_of(line.text);
            if (words.empty()) continue;
            profile(line, words);
            std::string_view target;
            const std::string_view command = words[0];
            if (words.size() > 2 && (command == "cp" || command == "mv" || command == "install" || command == "rsync")) target = words.back();
            if (words.size() > 2 && command == "git" && words[1] == "clone") target = words.back();
            for (size_t i = 0; i < words.size(); ++i) {
                if ((words[i] == ">" || words[i] == ">>" || words[i] == "-C") && i + 1 < words.size()) target = words[i + 1];
                else if (words[i].starts_with(">>")) target = words[i].substr(2);
                else if (words[i].starts_with(">") && words[i].size() > 1) target = words[i].substr(1);
            }
            target = unquoted(target);
            if (in_home(target) && !is_profile(target))
                add("home-files", place(line, target), "'" + std::string(target) + "' is hidden when the image runs: the user's own home directory lies over it");
        }
    }

    static bool is_profile(std::string_view path) {
        for (const std::string_view end : {".bashrc", ".profile", ".bash_profile", "bash.bashrc", "/etc/profile"})
            if (path.ends_with(end)) return true;
        return path.starts_with("/etc/profile.d/");
    }

    // Variables that only an interactive shell sets.
    void profile(const Line& line, const Words& words) {
        for (size_t i = 0; i < words.size(); ++i) {
            std::string_view target;
            if ((words[i] == ">" || words[i] == ">>") && i + 1 < words.size()) target = words[i + 1];
            else if (words[i].starts_with(">>")) target = words[i].substr(2);
            target = unquoted(target);
            if (!target.empty() && is_profile(target))
                add("bashrc-environment", place(line, target), "what stands in '" + std::string(target) + "' is set in no container: 'run' and 'exec' start no login shell; use %environment, or \"$SINGULARITY_ENVIRONMENT\" in %post");
        }
    }

    void libraries(const Section& post) {
        const Line* installs = nullptr;
        for (const Line& line : post.lines) {
            if (is_comment(line) || line.text.size() > longest_line) continue;
            const std::string& t = line.text;
            if (t.find("ldconfig") != std::string::npos) return;
            const bool made = (t.find("make") != std::string::npos || t.find("ninja") != std::string::npos) && t.find("install") != std::string::npos &&
                              t.find("install ") + 8 != t.find("make") && t.find("apt") == std::string::npos && t.find("yum") == std::string::npos &&
                              t.find("dnf") == std::string::npos && t.find("apk ") == std::string::npos && t.find("pip") == std::string::npos &&
                              t.find("conda") == std::string::npos && t.find("zypper") == std::string::npos;
            if (made || t.find("cmake --install") != std::string::npos || t.find("/etc/ld.so.conf") != std::string::npos) installs = &line;
        }
        if (installs)
            add("no-ldconfig", place(*installs, trimmed(installs->text)), "libraries are installed and 'ldconfig' is not run after it: programs will not find them");
    }

    void secrets(const Line& line) {
        if (line.text.size() > longest_line || is_comment(line)) return;
        const size_t at = find_secret(line.text);
        if (at != std::string::npos)
            add("password", {line.number, static_cast<uint32_t>(at + 1)}, "this looks like a password or a token in plain text: every image made from here holds it");
    }

    // Of a part of the line; after a substitution it may not be the line of the file, then the line's begin.
    static Position place(const Line& line, std::string_view part) {
        const auto* first = line.text.data();
        const bool inside = part.data() >= first && part.data() <= first + line.text.size();
        return {line.number, inside ? static_cast<uint32_t>(part.data() - first + 1) : 1};
    }

    // ---- Comments that allow ------------------------------------------------------------------

    static std::set<std::string> allowed(std::string_view line) {
        std::set<std::string> out;
        size_t at = line.find('#');
        for (; at != std::string_view::npos; at = line.find('#', at + 1)) {
            std::string_view rest = trimmed(line.substr(at + 1));
            if (!rest.starts_with("lint:")) continue;
            rest = trimmed(rest.substr(5));
            if (!rest.starts_with("allow")) continue;
            rest.remove_prefix(5);
            std::string word;
            for (const char c : std::string(rest) + " ") {
                if (c != ' ' && c != ',' && c != '\t') {
                    word.push_back(c);
                } else if (!word.empty()) {
                    out.insert(std::exchange(word, {}));
                }
            }
        }
        return out;
    }

    void silence() {
        std::set<std::string> everywhere;
        std::map<uint32_t, std::set<std::string>> by_line;
        std::set<std::string> next;
        bool header = true;
        for (const Line& line : d_.source.lines) {
            header = header && !trimmed(line.text).starts_with('%');
            const auto here = allowed(line.text);
            if (header) everywhere.insert(here.begin(), here.end());
            by_line[line.number] = here;
            by_line[line.number].insert(next.begin(), next.end());
            if (is_comment(line))
                next.insert(here.begin(), here.end());
            else
                next.clear();
        }
        std::erase_if(found_, [&](const Finding& f) {
            return f.severity == Severity::warning && (everywhere.count(f.rule) || by_line[f.at.line].count(f.rule));
        });
    }

    const Definition& d_;
    const Arguments& arguments_;
    std::vector<Finding> found_;
};

}  // namespace

const std::vector<Rule>& rules() {
    static const std::vector<Rule> list = {
        {"home-files", "files in /root, $HOME or /tmp of an image are hidden by the user's own directories when it runs"},
        {"no-ldconfig", "libraries that were installed without 'ldconfig' are not found"},
        {"bashrc-environment", "variables that only .bashrc or /etc/profile set are not set in a container"},
        {"no-runscript", "an image without %runscript does not say what it is for"},
        {"password", "whoever has the image can read it"},
        {"repeated-key", "the last value of a header key counts"},
        {"unused-key", "a key that the source does not know has no effect"},
        {"unused-argument", "a build argument that nothing uses has no effect"},
        {"files-words", "a %files line has a source and a destination"},
        {"empty-label", "a label without a value says nothing"},
    };
    return list;
}

std::vector<Finding> check(const Definition& definition, const Arguments& arguments) { return Checks(definition, arguments).run(); }

}  // namespace sg::definition
