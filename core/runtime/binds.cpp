#include "runtime/binds.hpp"

#include <charconv>
#include <tuple>

#include "base/error.hpp"

namespace sg::runtime {
namespace {

[[noreturn]] void usage(const std::string& what, std::string hint = {}) { throw Error(Code::usage, what, std::move(hint)); }

// Splits at `separator`, but not after a backslash, which stays in the parts.
std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> out(1);
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            out.back().append(text.substr(i, 2));
            ++i;
        } else if (text[i] == separator) {
            out.emplace_back();
        } else {
            out.back().push_back(text[i]);
        }
    }
    return out;
}

// Callers (Nextflow) escape every special character, so a backslash before anything else stays only there
// where it is no escape at all.
std::string unescape(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == ':' || text[i + 1] == ',' || text[i + 1] == '\\')) ++i;
        out.push_back(text[i]);
    }
    return out;
}

void option(Bind& bind, const std::string& word, const std::string& whole) {
    if (word == "ro" || word == "readonly") {
        bind.read_only = true;
    } else if (word == "rw" || word.empty()) {
        bind.read_only = false;
    } else if (word.compare(0, 10, "image-src=") == 0) {
        bind.of_image = true;
        bind.image_path = unescape(word.substr(10));
        if (bind.image_path.empty() || bind.image_path[0] != '/') usage("bind " + whole + ": image-src must be an absolute path in the image");
    } else if (word.compare(0, 3, "id=") == 0) {
        bind.of_image = true;
        const auto r = std::from_chars(word.data() + 3, word.data() + word.size(), bind.image_part);
        if (r.ec != std::errc() || r.ptr != word.data() + word.size() || bind.image_part == 0) usage("bind " + whole + ": '" + word + "' is no object's number");
    } else {
        usage("bind " + whole + ": unknown option '" + word + "'", "options are ro, rw, image-src=PATH and id=N");
    }
}

// Names no option is: what a comma divides is a new bind unless it is one of these.
bool is_option(const std::string& word) {
    return word == "ro" || word == "rw" || word.compare(0, 10, "image-src=") == 0 || word.compare(0, 3, "id=") == 0;
}

Bind parse_one(const std::string& text) {
    const auto parts = split(text, ':');
    Bind bind;
    if (parts.size() > 3) usage("bind " + text + ": too many ':'", "the form is SRC[:DEST[:ro|rw]]; write a ':' of a name as '\\:'");
    bind.source = unescape(parts[0]);
    bind.destination = parts.size() > 1 && !parts[1].empty() ? unescape(parts[1]) : bind.source;
    if (bind.source.empty()) usage("bind " + text + ": the source is empty");
    if (parts.size() > 2)
        for (const auto& word : split(parts[2], ',')) option(bind, word, text);
    return bind;
}

// One line of CSV: fields in double quotes may hold commas, "" is a quote.
std::vector<std::string> csv(std::string_view line) {
    std::vector<std::string> out(1);
    bool quoted = false;
    for (size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted) {
            if (c == '"' && i + 1 < line.size() && line[i + 1] == '"')
                out.back().push_back('"'), ++i;
            else if (c == '"')
                quoted = false;
            else
                out.back().push_back(c);
        } else if (c == '"') {
            quoted = true;
        } else if (c == ',') {
            out.emplace_back();
        } else {
            out.back().push_back(c);
        }
    }
    if (quoted) usage("mount " + std::string(line) + ": a quote is not closed");
    return out;
}

Bind parse_mount(std::string_view line) {
    const std::string whole(line);
    Bind bind;
    std::string type = "bind";
    for (const auto& field : csv(line)) {
        const size_t equal = field.find('=');
        const std::string key = field.substr(0, equal);
        const std::string value = equal == std::string::npos ? std::string() : field.substr(equal + 1);
        if (key == "type") type = value;
        else if (key == "source" || key == "src") bind.source = value;
        else if (key == "destination" || key == "dst" || key == "target") bind.destination = value;
        else if (key == "ro" || key == "readonly") {
            if (!value.empty() && value != "true" && value != "false" && value != "1" && value != "0")
                usage("mount " + whole + ": '" + value + "' is no value for " + key);
            bind.read_only = value != "false" && value != "0";
        } else if (key == "rw") bind.read_only = false;
        else if (key == "image-src" || key == "id") option(bind, field, whole);
        else usage("mount " + whole + ": unknown key '" + key + "'", "keys are type, source, destination, readonly, image-src and id");
    }
    if (type != "bind") usage("mount " + whole + ": type '" + type + "' is not bind");
    if (bind.source.empty()) usage("mount " + whole + ": the source is missing");
    if (bind.destination.empty()) usage("mount " + whole + ": the destination is missing");
    return bind;
}

}  // namespace

std::vector<Bind> parse_binds(std::string_view text) {
    std::vector<std::string> entries;
    for (auto& entry : split(text, ',')) {
        if (entry.empty()) continue;
        // "A:B:ro,id=2": an option list may hold a comma too.
        if (!entries.empty() && is_option(entry) && split(entries.back(), ':').size() == 3) {
            entries.back().append(",").append(entry);
        } else {
            entries.push_back(std::move(entry));
        }
    }
    std::vector<Bind> out;
    for (const auto& e : entries) out.push_back(parse_one(e));
    return out;
}

std::vector<Bind> parse_mounts(std::string_view text) {
    std::vector<Bind> out;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        if (const auto line = text.substr(0, end); !line.empty()) out.push_back(parse_mount(line));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return out;
}

FuseMount parse_fuse_mount(std::string_view text) {
    const std::string whole(text);
    FuseMount out;
    out.in_container = true;
    for (const auto& [kind, in_container, daemon] : {std::tuple{"container:", true, false}, {"host:", false, false}, {"container-daemon:", true, true}, {"host-daemon:", false, true}})
        if (text.substr(0, std::string_view(kind).size()) == kind) {
            out.in_container = in_container;
            out.daemon = daemon;
            text.remove_prefix(std::string_view(kind).size());
            break;
        }
    std::string word;
    bool open = false;
    char quote = 0;
    const auto finish = [&] {
        if (open) out.command.push_back(std::move(word));
        word.clear();
        open = false;
    };
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
            word += text[++i];
            open = true;
        } else if (quote) {
            if (c == quote) quote = 0;
            else word += c;
        } else if (c == '"' || c == '\'') {
            quote = c;
            open = true;
        } else if (c == ' ' || c == '\t') {
            finish();
        } else {
            word += c;
            open = true;
        }
    }
    if (quote) usage("--fusemount " + whole + ": a quote is not closed");
    finish();
    const char* form = "the form is --fusemount 'host:PROGRAM [ARGUMENTS] /MOUNTPOINT'";
    if (out.command.size() < 2) usage("--fusemount " + whole + ": it needs a program and a mount point", form);
    out.destination = std::move(out.command.back());
    out.command.pop_back();
    if (out.destination.empty() || out.destination[0] != '/') usage("--fusemount " + whole + ": the mount point must be absolute", form);
    return out;
}

}  // namespace sg::runtime
