#include "remote-build/library_ref.hpp"

#include <algorithm>
#include <vector>

namespace remote_build {

namespace {

bool is_word(std::string_view part, bool tag) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
    return !part.empty() && part.size() <= 128 && letter(part.front()) && letter(part.back()) && part.find("..") == std::string_view::npos &&
           std::all_of(part.begin(), part.end(), [&](char c) { return letter(c) || c == '-' || c == '_' || c == '.' || (tag && c == '+'); });
}

bool is_host(std::string_view part) {
    return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' || c == '[' || c == ']';
    });
}

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> out;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(at, begin), text.size());
        out.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

}  // namespace

bool is_library(std::string_view target) { return target.starts_with("library:"); }

std::string LibraryRef::path() const {
    std::string out;
    for (const auto* part : {&entity, &collection, &name})
        if (!part->empty()) out += (out.empty() ? "" : "/") + *part;
    return out;
}

std::string LibraryRef::text() const { return "library://" + path() + ":" + tags; }

LibraryRef parse_library_ref(const std::string& text) {
    const auto wrong = [&] {
        std::string shown;
        for (const char c : text.substr(0, 160)) shown.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
        return Error(Code::invalid, "'" + shown + "' is no reference to an image in a library", "The form is: library://ENTITY/COLLECTION/NAME[:TAG]");
    };
    std::string rest = is_library(text) ? text.substr(8) : text;
    bool with_host = rest.starts_with("//") && !rest.starts_with("///");
    while (rest.starts_with('/')) rest.erase(0, 1);
    LibraryRef ref;
    auto parts = split(rest, '/');
    // With one or three parts there is no host; and of two the first may be the collection that a builder has for its images.
    const auto names_host = [&] { return parts.front() == "localhost" || parts.front().find_first_of(".:") != std::string::npos; };
    with_host = with_host && (parts.size() == 4 || (parts.size() == 2 && names_host()));
    if (with_host) {
        ref.host = parts.front();
        parts.erase(parts.begin());
        if (!is_host(ref.host)) throw wrong();
    }
    if (parts.empty() || parts.size() > 3) throw wrong();
    if (const size_t colon = parts.back().find(':'); colon != std::string::npos) {
        ref.tags = parts.back().substr(colon + 1);
        parts.back().erase(colon);
    }
    ref.name = parts.back();
    if (parts.size() >= 2) ref.collection = parts[parts.size() - 2];
    if (parts.size() == 3) ref.entity = parts[0];
    for (const auto& part : parts)
        if (!is_word(part, false)) throw wrong();
    for (const auto& tag : split(ref.tags, ','))
        if (!is_word(tag, true)) throw wrong();
    return ref;
}

}  // namespace remote_build
