#include "definition/parser.hpp"

#include <algorithm>
#include <set>

#include "base/nearest.hpp"

namespace sg::definition {

namespace {

constexpr std::string_view first_key = "bootstrap";
// Keys that mean the same whatever the source is. "from" may stand with sources that ignore it, as people write it.
constexpr std::string_view common_keys[] = {first_key, "from", "stage", "includecmd", "fingerprints"};

const std::vector<std::string_view> plain_sections = {"help",   "setup",     "files", "labels",      "environment", "pre",
                                                      "post",   "runscript", "test",  "startscript", "arguments"};
const std::vector<std::string_view> app_sections = {"appinstall", "applabels", "appfiles", "appenv",
                                                    "apptest",    "apphelp",   "apprun",   "appstart"};

bool contains(const std::vector<std::string_view>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

uint32_t column_of(const Line& line, std::string_view part) { return static_cast<uint32_t>(part.data() - line.text.data() + 1); }

bool begins_stage(const Line& line) {
    return line.text.size() > first_key.size() && line.text[first_key.size()] == ':' &&
           lower(std::string_view(line.text).substr(0, first_key.size())) == first_key;
}

bool begins_section(const Line& line) { return trimmed(line.text).starts_with('%'); }

// What the lines of a script may have after them: a comment from '#' on.
std::string without_comment(std::string_view text) { return std::string(trimmed(text.substr(0, text.find('#')))); }

// Words of a %files line: blanks divide outside of quotes. Quotes are taken away; one that nothing closes is a letter.
std::vector<std::string> words_of(std::string_view s) {
    std::vector<std::string> out;
    for (size_t i = 0; i < s.size();) {
        if (s[i] == ' ' || s[i] == '\t') {
            ++i;
            continue;
        }
        std::string word;
        while (i < s.size() && s[i] != ' ' && s[i] != '\t') {
            const bool quote = s[i] == '"' || s[i] == '\'';
            const size_t end = quote ? s.find(s[i], i + 1) : std::string_view::npos;
            if (end != std::string_view::npos) {
                word.append(s.substr(i + 1, end - i - 1));
                i = end + 1;
            } else if (s[i] == '\\' && i + 1 < s.size() && (s[i + 1] == ' ' || s[i + 1] == '\\' || s[i + 1] == '"' || s[i + 1] == '\'')) {
                word.push_back(s[i + 1]);
                i += 2;
            } else {
                word.push_back(s[i++]);
            }
        }
        out.push_back(std::move(word));
    }
    return out;
}

class StageParser {
public:
    StageParser(const Text& text, const Grammar& grammar, std::vector<Finding>& findings)
        : text_(text), grammar_(grammar), findings_(findings) {}

    Stage parse(const std::vector<Line>& lines) {
        size_t i = 0;
        while (i < lines.size() && !begins_section(lines[i])) ++i;
        header(lines, i);
        while (i < lines.size()) {
            size_t end = i + 1;
            while (end < lines.size() && !begins_section(lines[end])) ++end;
            section(lines[i], {lines.begin() + static_cast<ptrdiff_t>(i) + 1, lines.begin() + static_cast<ptrdiff_t>(end)});
            i = end;
        }
        record(lines);
        return std::move(stage_);
    }

private:
    // Keys of the header are recorded in lower case, as Singularity always did; the rest stays as it is written.
    void record(const std::vector<Line>& lines) {
        size_t key = 0;
        for (const Line& line : lines) {
            std::string text = line.text;
            if (key < stage_.header.size() && stage_.header[key].at.line == line.number && !begins_section(line)) {
                const std::string& name = stage_.header[key].name;
                text.replace(stage_.header[key].at.column - 1, name.size(), name);
                ++key;
            }
            stage_.text.append(text).push_back('\n');
        }
    }

    // ---- Header -------------------------------------------------------------------------------

    void header(const std::vector<Line>& lines, size_t count) {
        Key open;  // its value goes on in the next line
        bool goes_on = false;
        for (size_t i = 0; i < count; ++i) {
            const Line& line = lines[i];
            const auto content = trimmed(line.text);
            if (content.empty() || content[0] == '#') continue;
            const auto used = std::string_view(line.text).substr(0, line.text.find('#'));
            if (goes_on) {
                open.value.append(trimmed(used));
            } else {
                const size_t colon = used.find(':');
                if (colon == std::string_view::npos) throw no_value(line, content);
                const auto name = trimmed(used.substr(0, colon));
                const auto value = trimmed(used.substr(colon + 1));
                open = {lower(name), std::string(value), {line.number, column_of(line, content)},
                        {line.number, value.empty() ? static_cast<uint32_t>(colon + 2) : column_of(line, value)}};
            }
            goes_on = continues(open.value);
            if (!goes_on) add_key(std::move(open));
        }
        if (goes_on) add_key(std::move(open));
        check_keys();
    }

    // A value that ends with "\": the next line belongs to it. "\n\" keeps a newline.
    static bool continues(std::string& value) {
        if (!value.ends_with('\\')) return false;
        value.pop_back();
        if (value.ends_with("\\n")) value.replace(value.size() - 2, 2, "\n");
        return true;
    }

    Error no_value(const Line& line, std::string_view content) const {
        const auto word = content.substr(0, content.find_first_of(" \t"));
        std::string hint = "A header line is 'Key: value'.";
        if (const auto section = nearest(word, plain_sections); !section.empty()) hint += " Did you mean the section '%" + section + "'?";
        return text_.error({line.number, column_of(line, content)}, "header key " + std::string(word) + " had no val", hint);
    }

    void add_key(Key key) {
        key.value = std::string(trimmed(key.value));
        if (const Key* before = stage_.key(key.name))
            note("repeated-key", key.at, "'" + key.name + "' stands twice in this header; the value in line " + std::to_string(before->at.line) + " is not used");
        stage_.header.push_back(std::move(key));
    }

    void check_keys() {
        const Key* bootstrap = stage_.key(first_key);
        if (!bootstrap) {
            const Position at = stage_.header.empty() ? Position{} : stage_.header.front().at;
            throw text_.error(at, "the header has no 'Bootstrap:'", "It says where the base comes from, as 'Bootstrap: scratch'.");
        }
        stage_.at = bootstrap->at;
        if (bootstrap->value.empty()) throw text_.error(bootstrap->at, "'Bootstrap:' has no value");
        stage_.name = stage_.value("stage");
        const auto own = grammar_.keywords ? grammar_.keywords(lower(bootstrap->value)) : std::nullopt;
        for (const Key& key : stage_.header) {
            if (is_one_of(key.name, {}) || (own && is_one_of(key.name, *own))) continue;
            if (!is_one_of(key.name, grammar_.all)) throw unknown_key(key, own ? *own : grammar_.all);
            if (own) note("unused-key", key.at, "'" + key.name + "' means nothing with 'Bootstrap: " + bootstrap->value + "' and is ignored");
        }
    }

    static bool is_one_of(std::string_view name, const std::vector<std::string>& keys) {
        const auto matches = [&](std::string_view key) {
            // Some keys may be numbered: otherurl1, otherurl2.
            return name == key || (name.starts_with(key) && key.ends_with("url") &&
                                   name.find_first_not_of("0123456789", key.size()) == std::string_view::npos);
        };
        return std::any_of(std::begin(common_keys), std::end(common_keys), [&](auto k) { return k == name; }) ||
               std::any_of(keys.begin(), keys.end(), matches);
    }

    Error unknown_key(const Key& key, const std::vector<std::string>& keys) const {
        std::vector<std::string_view> known(std::begin(common_keys), std::end(common_keys));
        known.insert(known.end(), keys.begin(), keys.end());
        std::string hint = did_you_mean(key.name, known);
        if (hint.empty())
            if (const auto section = nearest(key.name, plain_sections); !section.empty()) hint = "Did you mean the section '%" + section + "'?";
        return text_.error(key.at, "invalid header keyword found: " + key.name, hint);
    }

    // ---- Sections -----------------------------------------------------------------------------

    void section(const Line& line, std::vector<Line> lines) {
        const std::string_view whole = line.text;
        const auto content = trimmed(whole);
        const Position at{line.number, column_of(line, content)};
        const size_t end = content.find_first_of(" \t");
        const std::string name = lower(content.substr(1, end == std::string_view::npos ? end : end - 1));
        const std::string_view rest = end == std::string_view::npos ? std::string_view() : trimmed(content.substr(end));
        if (whole[0] != '%')
            throw text_.error(at, "a line that begins with '%' begins a section, and this one is indented",
                              contains(plain_sections, name) || contains(app_sections, name) ? "Take away the blanks before it."
                                                                                              : "Write it so that '%' is not the first character of the line.");
        if (name.empty()) throw text_.error(at, "a section without a name", "No blank may stand after '%'.");
        if (contains(app_sections, name)) return app_section(name, rest, line, at, std::move(lines));
        if (!contains(plain_sections, name)) throw unknown_section(name, at);
        if (name == "files") return files(rest, line, at, lines);
        if (name == "labels") labels(lines, stage_.labels);
        add(stage_.sections, {name, "", without_comment(rest), at, std::move(lines)});
    }

    Error unknown_section(const std::string& name, Position at) const {
        std::vector<std::string_view> known = plain_sections;
        known.insert(known.end(), app_sections.begin(), app_sections.end());
        const std::string like = nearest(name, known);
        return text_.error(at, "invalid section(s) specified: " + name,
                           like.empty() ? "A script's line must not begin with '%'." : "Did you mean '%" + like + "'?");
    }

    static void add(std::vector<Section>& list, Section section) {
        for (Section& there : list)
            if (there.name == section.name) {
                there.lines.insert(there.lines.end(), section.lines.begin(), section.lines.end());
                if (!section.arguments.empty()) there.arguments += (there.arguments.empty() ? "" : " ") + section.arguments;
                return;
            }
        list.push_back(std::move(section));
    }

    void app_section(const std::string& name, std::string_view rest, const Line& line, Position at, std::vector<Line> lines) {
        const size_t end = rest.find_first_of(" \t");
        const std::string app(rest.substr(0, end));
        if (app.empty()) throw text_.error(at, "app section " + name + " names no app", "The form is '%" + name + " NAME'.");
        if (app == "." || app == ".." || app.find('/') != std::string::npos)
            throw text_.error({line.number, column_of(line, rest)}, "'" + app + "' cannot be the name of an app", "It is the name of a directory below /scif/apps.");
        auto it = std::find_if(stage_.apps.begin(), stage_.apps.end(), [&](const App& a) { return a.name == app; });
        if (it == stage_.apps.end()) it = stage_.apps.insert(it, App{app, {}, {}, {}});
        if (name == "appfiles") pairs(lines, it->files);
        if (name == "applabels") labels(lines, it->labels);
        add(it->sections, {name, app, end == std::string_view::npos ? "" : without_comment(rest.substr(end)), at, std::move(lines)});
    }

    void files(std::string_view rest, const Line& line, Position at, const std::vector<Line>& lines) {
        const std::string arguments = without_comment(rest);
        std::string stage;
        if (!arguments.empty()) {
            const size_t blank = arguments.find_first_of(" \t");
            stage = blank == std::string::npos ? "" : std::string(trimmed(std::string_view(arguments).substr(blank)));
            if (lower(std::string_view(arguments).substr(0, blank)) != "from" || stage.empty() || stage.find_first_of(" \t") != std::string::npos)
                throw text_.error({line.number, column_of(line, rest)}, "'" + arguments + "' is not understood after %files", "The form is '%files from STAGE'.");
        }
        auto it = std::find_if(stage_.files.begin(), stage_.files.end(), [&](const Files& f) { return f.stage == stage; });
        if (it == stage_.files.end()) it = stage_.files.insert(it, Files{stage, {}, at});
        pairs(lines, it->pairs);
    }

    void pairs(const std::vector<Line>& lines, std::vector<FilePair>& out) {
        for (const Line& line : lines) {
            const auto content = trimmed(line.text);
            if (content.empty() || content[0] == '#') continue;
            const Position at{line.number, column_of(line, content)};
            const auto words = words_of(line.text);
            if (words.empty() || words[0].empty()) throw text_.error(at, "the name of the file is empty");
            out.push_back({words[0], words.size() > 1 && !words[1].starts_with('#') ? words[1] : "", at});
            if (words.size() > 2 && !words[1].starts_with('#') && !words[2].starts_with('#'))
                note("files-words", at, "only the first two words of a %files line count: '" + words[0] + "' is copied to '" + words[1] + "'");
        }
    }

    void labels(const std::vector<Line>& lines, std::vector<Label>& out) {
        for (const Line& line : lines) {
            const auto content = trimmed(line.text);
            if (content.empty() || content[0] == '#') continue;
            const Position at{line.number, column_of(line, content)};
            const size_t end = content.find_first_of(" \t");
            out.push_back({std::string(content.substr(0, end)), end == std::string_view::npos ? "" : std::string(trimmed(content.substr(end))), at});
            if (end == std::string_view::npos) note("empty-label", at, "the label '" + out.back().name + "' has no value");
        }
    }

    void note(const char* rule, Position at, std::string message) { findings_.push_back({Severity::warning, rule, at, std::move(message)}); }

    const Text& text_;
    const Grammar& grammar_;
    std::vector<Finding>& findings_;
    Stage stage_;
};

// The lines of each stage; what stands before the first belongs to it.
std::vector<std::vector<Line>> split_stages(const Text& text) {
    std::vector<std::vector<Line>> out(1);
    bool begun = false;
    for (const Line& line : text.lines) {
        if (begins_stage(line)) {
            if (begun) out.emplace_back();
            begun = true;
        }
        out.back().push_back(line);
    }
    return out;
}

// The values of %arguments, before anything is substituted.
Values default_values(const Text& text, const std::vector<Line>& lines) {
    std::vector<Line> own;
    bool inside = false;
    for (const Line& line : lines) {
        if (begins_section(line)) {
            const auto content = trimmed(line.text);
            inside = lower(content.substr(0, content.find_first_of(" \t"))) == "%arguments";
        } else if (inside) {
            own.push_back(line);
        }
    }
    return parse_argument_lines(text, own);
}

void check_stages(const Definition& d) {
    std::vector<std::string_view> earlier;
    for (size_t i = 0; i < d.stages.size(); ++i) {
        const Stage& stage = d.stages[i];
        for (const Files& files : stage.files) {
            if (files.stage.empty() || contains(earlier, files.stage)) continue;
            std::string hint = earlier.empty() ? "No stage before this one has a name ('Stage: NAME')." : did_you_mean(files.stage, earlier);
            const auto later = std::find_if(d.stages.begin() + static_cast<ptrdiff_t>(i), d.stages.end(), [&](const Stage& s) { return s.name == files.stage; });
            if (later != d.stages.end())
                throw d.source.error(files.at, "stage '" + files.stage + (later - d.stages.begin() == static_cast<ptrdiff_t>(i) ? "' cannot take files from itself" : "' is built later than this one"),
                                     "Files come from stages that stand before.");
            throw d.source.error(files.at, "there is no stage '" + files.stage + "'", hint);
        }
        if (stage.name.empty()) continue;
        if (contains(earlier, stage.name)) throw d.source.error(stage.key("stage")->value_at, "two stages have the name '" + stage.name + "'");
        earlier.push_back(stage.name);
    }
}

void check_used(Definition& d, const Arguments& arguments, const std::set<std::string>& used) {
    for (const auto& [name, value] : arguments.given) {
        if (used.count(name)) continue;
        const std::string what = "the build argument '" + name + "' is used nowhere in " + d.source.name;
        if (!arguments.tolerant) throw Error(Code::invalid, what, "--warn-unused-build-args makes a warning of this.");
        d.findings.push_back({Severity::warning, "unused-argument", {}, what});
    }
}

}  // namespace

const std::vector<std::string_view>& section_names() { return plain_sections; }

Definition parse(const Text& text, const Grammar& grammar, const Arguments& arguments) {
    Definition d;
    d.source = text;
    const bool empty = std::all_of(text.lines.begin(), text.lines.end(), [](const Line& line) { return trimmed(line.text).empty(); });
    if (empty) throw Error(Code::invalid, text.name + ": the definition is empty");
    std::set<std::string> used;
    for (const auto& lines : split_stages(text)) {
        const auto values = default_values(text, lines);
        Values substitutes;
        d.stages.push_back(StageParser(text, grammar, d.findings).parse(substituted(text, lines, arguments.given, values, substitutes)));
        for (const auto& [name, value] : substitutes) used.insert(name);
        d.stages.back().arguments = std::move(substitutes);
    }
    check_stages(d);
    check_used(d, arguments, used);
    return d;
}

}  // namespace sg::definition
