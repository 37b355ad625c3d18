#include "remotes/yaml.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <regex>
#include <singularity/error.hpp>
#include <singularity/json.hpp>

// libyaml-cpp.a is compiled for programs: it reaches this variable of libc without the table that a shared object
// needs. One of the plugin's own, which says that there may be other threads, is right for it always.
extern "C" {
[[gnu::visibility("hidden")]] char __libc_single_threaded = 0;
}

namespace remotes {

using singularity::Code;
using singularity::Error;
using singularity::json::printable;

namespace {

// ---- Reading ---------------------------------------------------------------------------------------

class Reader {
public:
    explicit Reader(const std::string& file) : file_(file) {}

    Config config(const YAML::Node& root) {
        Config out;
        members(root, "the file", [&](const std::string& key, const YAML::Node& value) {
            if (key == "Active")
                out.active = text(value, key);
            else if (key == "Remotes")
                members(value, key,
                        [&](const std::string& name, const YAML::Node& body) { out.add(remote(name, body)); });
            else if (key == "Credentials")
                each(value, key, [&](const YAML::Node& item) { out.logins.push_back(login(item)); });
            else
                return false;
            return true;
        });
        return out;
    }

private:
    [[noreturn]] void wrong(const YAML::Node& node, const std::string& why) const {
        throw Error(Code::invalid, file_ + ":" + std::to_string(node.Mark().line + 1) + ": " + why,
                    "Mend the file, or move it away and log in again.");
    }

    // `take` answers false for a key that it does not know, and nothing for names that are anybody's.
    template <class F>
    void members(const YAML::Node& map, const std::string& what, F&& take) {
        if (map.IsNull()) return;
        if (!map.IsMap()) wrong(map, printable(what) + " must be a mapping");
        std::vector<std::string> seen;
        for (const auto& m : map) {
            if (!m.first.IsScalar()) wrong(m.first, "a key of " + printable(what) + " is no text");
            const std::string& key = m.first.Scalar();
            if (std::find(seen.begin(), seen.end(), key) != seen.end())
                wrong(m.first, "'" + printable(key) + "' stands there twice");
            seen.push_back(key);
            if constexpr (std::is_same_v<decltype(take(key, m.second)), bool>) {
                if (!take(key, m.second)) wrong(m.first, "unknown key '" + printable(key) + "' in " + printable(what));
            } else {
                take(key, m.second);
            }
        }
    }

    template <class F>
    void each(const YAML::Node& list, const std::string& what, F&& take) {
        if (list.IsNull()) return;
        if (!list.IsSequence()) wrong(list, what + " must be a list");
        for (const auto& item : list) take(item);
    }

    std::string text(const YAML::Node& node, const std::string& what) {
        if (node.IsNull()) return {};
        if (!node.IsScalar()) wrong(node, what + " must be a text");
        const std::string& t = node.Scalar();
        // They end up in headers and on terminals.
        if (t.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos)
            wrong(node, what + " holds a control character");
        return t;
    }

    bool truth(const YAML::Node& node, const std::string& what) {
        if (node.IsNull()) return false;
        bool value = false;
        if (!node.IsScalar() || !YAML::convert<bool>::decode(node, value)) wrong(node, what + " must be true or false");
        return value;
    }

    Remote remote(const std::string& name, const YAML::Node& node) {
        Remote r;
        r.name = name;
        members(node, "remote " + name, [&](const std::string& key, const YAML::Node& value) {
            if (key == "URI")
                r.uri = text(value, key);
            else if (key == "Token")
                r.token = text(value, key);
            else if (key == "System")
                r.system = truth(value, key);
            else if (key == "Exclusive")
                r.exclusive = truth(value, key);
            else if (key == "Insecure")
                r.insecure = truth(value, key);
            else if (key == "Keyservers")
                each(value, key, [&](const YAML::Node& item) { r.keyservers.push_back(keyserver(item)); });
            else
                return false;
            return true;
        });
        return r;
    }

    KeyServerEntry keyserver(const YAML::Node& node) {
        KeyServerEntry k;
        members(node, "a key server", [&](const std::string& key, const YAML::Node& value) {
            if (key == "URI")
                k.uri = text(value, key);
            else if (key == "Skip")
                k.skip = truth(value, key);
            else if (key == "External")
                k.external = truth(value, key);
            else if (key == "Insecure")
                k.insecure = truth(value, key);
            else
                return false;
            return true;
        });
        return k;
    }

    Login login(const YAML::Node& node) {
        Login l;
        members(node, "a login", [&](const std::string& key, const YAML::Node& value) {
            if (key == "URI")
                l.uri = text(value, key);
            else if (key == "Auth")
                l.auth = text(value, key);
            else if (key == "Insecure")
                l.insecure = truth(value, key);
            else
                return false;
            return true;
        });
        return l;
    }

    const std::string& file_;
};

// ---- Writing ---------------------------------------------------------------------------------------

// Whether a reader would take the plain text for a number, a date or a word with a meaning.
bool means_something(const std::string& text) {
    static const std::regex numbers(
        "[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])*(\\.[0-9_]*)?([eE][-+]?[0-9]+)?|\\.[0-9_]"
        "+([eE]["
        "-+]?[0-9]+)?|\\.(inf|Inf|INF))|\\.(nan|NaN|NAN)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*");
    static constexpr std::string_view words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    return std::find(std::begin(words), std::end(words), lower) != std::end(words) ||
           (text.size() <= 64 && std::regex_match(text, numbers));
}

// Plain where YAML takes it as it is, else in double quotes.
std::string scalar(const std::string& text) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("._/+=~:$()^;, -").find(c) != std::string_view::npos;
    };
    const bool first_fine =
        !text.empty() &&
        ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') ||
         (text[0] >= '0' && text[0] <= '9') || text[0] == '/' || text[0] == '_' || text[0] == '$' || text[0] == '(');
    if (first_fine && std::all_of(text.begin(), text.end(), plain) && text.back() != ' ' && text.back() != ':' &&
        text.find(": ") == std::string::npos && !means_something(text))
        return text;
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += {'\\', 'x', digits[(c >> 4) & 15], digits[c & 15]};
        else
            out += c;
    }
    return out + "\"";
}

class Writer {
public:
    // `dash`: the first line of a list's item.
    void line(unsigned depth, const std::string& key, const std::string& value, bool dash = false) {
        std::string indent(depth * 4, ' ');
        if (dash) indent.replace(indent.size() - 2, 2, "- ");
        out += indent + key + ":" + (value.empty() ? "" : " " + value) + "\n";
    }
    void truth(unsigned depth, const std::string& key, bool value) { line(depth, key, value ? "true" : "false"); }

    std::string out;
};

// An item's lines stand two blanks behind those of the list's dash.
void write_login(Writer& w, const Login& l) {
    w.out += "    - URI: " + scalar(l.uri) + "\n";
    if (!l.auth.empty()) w.out += "      Auth: " + scalar(l.auth) + "\n";
    w.out += std::string("      Insecure: ") + (l.insecure ? "true" : "false") + "\n";
}

void write_keyserver(Writer& w, const KeyServerEntry& k) {
    const auto truth = [&](const char* key, bool value) {
        w.out += std::string("              ") + key + (value ? ": true\n" : ": false\n");
    };
    w.out += "            - URI: " + scalar(k.uri) + "\n";
    truth("Skip", k.skip);
    truth("External", k.external);
    truth("Insecure", k.insecure);
}

}  // namespace

Config parse_config(const std::string& text, const std::string& file) {
    YAML::Node root;
    try {
        root = YAML::Load(text);
    } catch (const YAML::Exception& e) {
        throw Error(Code::invalid, file + ":" + std::to_string(e.mark.line + 1) + ": no YAML: " + printable(e.msg),
                    "Mend the file, or move it away and log in again.");
    }
    return Reader(file).config(root);
}

std::string print_config(const Config& config) {
    Writer w;
    w.line(0, "Active", config.active.empty() ? "\"\"" : scalar(config.active));
    w.line(0, "Remotes", config.remotes.empty() ? "{}" : "");
    for (const Remote& r : config.remotes) {
        w.line(1, scalar(r.name), "");
        if (!r.uri.empty()) w.line(2, "URI", scalar(r.uri));
        if (!r.token.empty()) w.line(2, "Token", scalar(r.token));
        w.truth(2, "System", r.system);
        w.truth(2, "Exclusive", r.exclusive);
        if (r.insecure) w.truth(2, "Insecure", true);
        if (!r.keyservers.empty()) w.line(2, "Keyservers", "");
        for (const KeyServerEntry& k : r.keyservers) write_keyserver(w, k);
    }
    if (!config.logins.empty()) w.line(0, "Credentials", "");
    for (const Login& l : config.logins) write_login(w, l);
    return w.out;
}

}  // namespace remotes
