#include "library/reference.hpp"

#include <algorithm>
#include <singularity/error.hpp>
#include <singularity/json.hpp>

namespace library {

using singularity::Code;
using singularity::Error;

namespace {

constexpr size_t longest = 1024, longest_tag = 128;
const char* const form = "The form is library://[HOST[:PORT]/][ENTITY/[COLLECTION/]]CONTAINER[:TAG].";

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// [a-z0-9]+(?:[._-][a-z0-9]+)*
bool is_part(const std::string& text) {
    bool separator = true;
    for (const char c : text) {
        const bool now = c == '.' || c == '_' || c == '-';
        if (!now && !lower_or_digit(c)) return false;
        if (now && separator) return false;
        separator = now;
    }
    return !separator;
}

bool is_tag(const std::string& text) {
    return !text.empty() && text.size() <= longest_tag && text[0] != '.' && text[0] != '-' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
           });
}

bool is_host(const std::string& text) {
    return !text.empty() && text.front() != ':' && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return lower_or_digit(c) || (c >= 'A' && c <= 'Z') ||
                      std::string_view(".-_:[]").find(c) != std::string_view::npos;
           });
}

std::vector<std::string> split(const std::string& text, char by) {
    std::vector<std::string> out;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(by, at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

}  // namespace

bool is_hash(const std::string& text) {
    return text.size() == 71 && text.starts_with("sha256.") &&
           text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

LibraryReference LibraryReference::parse(const std::string& text) {
    const auto bad = [&](const std::string& why) {
        return Error(Code::invalid,
                     "\"" + singularity::json::printable(text) + "\" names no image of a Library: " + why, form);
    };
    if (text.size() > longest) throw bad("it is too long");
    // library:///PATH says that there is no host.
    const bool no_host = text.starts_with('/');
    LibraryReference out;
    out.path = split(no_host ? text.substr(1) : text, '/');
    if (!no_host && (out.path.size() == 2 || out.path.size() == 4)) {
        out.host = out.path.front();
        out.path.erase(out.path.begin());
        if (!is_host(out.host)) throw bad("its host is none");
    }
    if (out.path.size() > 3) throw bad("it has too many parts");
    std::string& last = out.path.back();
    if (const size_t colon = last.find(':'); colon != std::string::npos) {
        out.tags = split(last.substr(colon + 1), ',');
        last.resize(colon);
    }
    for (const std::string& part : out.path)
        if (!is_part(part)) throw bad("its parts are made of a-z, 0-9 and single '.', '_' and '-' between them");
    for (const std::string& tag : out.tags)
        if (!is_tag(tag)) throw bad("a tag is made of letters, digits, '.', '_' and '-'");
    if (out.tags.empty()) out.tags.push_back("latest");
    return out;
}

std::string LibraryReference::container() const {
    std::string out;
    for (const std::string& part : path) out += (out.empty() ? "" : "/") + part;
    return out;
}

const std::string& LibraryReference::only_tag() const {
    if (tags.size() > 1)
        throw Error(Code::usage, container() + ": one tag can be taken, and not " + std::to_string(tags.size()));
    return tags.front();
}

std::string LibraryReference::file_name() const { return path.back() + "_" + only_tag() + ".sif"; }

void LibraryReference::need_whole(const char* what) const {
    if (path.size() != 3)
        throw Error(Code::usage, "to " + std::string(what) + ", entity, collection and container must be named",
                    "library://ENTITY/COLLECTION/" + path.back());
}

}  // namespace library
