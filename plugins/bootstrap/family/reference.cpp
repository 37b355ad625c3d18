#include "family/reference.hpp"

#include <algorithm>
#include <singularity/digest.hpp>
#include <singularity/json.hpp>

namespace sources {
namespace {

using singularity::Code;
using singularity::Error;
using singularity::json::printable;

bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool alnum(char c) { return lower(c) || upper(c) || digit(c); }

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    throw Error(Code::invalid, "invalid reference \"" + printable(text) + "\": " + why,
                "The form is [HOST[:PORT]/]NAME[:TAG][@DIGEST].");
}

bool domain_ok(std::string_view text) {
    if (text.empty()) return false;
    std::string_view host = text, port;
    if (text.front() == '[') {
        const size_t end = text.find(']');
        if (end == std::string_view::npos || end < 2) return false;
        for (char c : text.substr(1, end - 1))
            if (!digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F') && c != ':') return false;
        host = {};
        std::string_view rest = text.substr(end + 1);
        if (rest.empty()) return true;
        if (rest.front() != ':') return false;
        port = rest.substr(1);
        if (port.empty()) return false;
    } else if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        if (port.empty()) return false;
    }
    if (!std::all_of(port.begin(), port.end(), digit)) return false;
    while (!host.empty()) {
        const size_t dot = std::min(host.find('.'), host.size());
        const std::string_view part = host.substr(0, dot);
        if (part.empty() || part.front() == '-' || part.back() == '-') return false;
        if (!std::all_of(part.begin(), part.end(), [](char c) { return alnum(c) || c == '-'; })) return false;
        if (dot + 1 == host.size()) return false;
        host.remove_prefix(std::min(dot + 1, host.size()));
    }
    return true;
}

// [a-z0-9]+ ((\.|_|__|-+)[a-z0-9]+)*
bool path_part_ok(std::string_view part) {
    const auto word = [](char c) { return lower(c) || digit(c); };
    size_t i = 0;
    for (;;) {
        const size_t begin = i;
        while (i < part.size() && word(part[i])) ++i;
        if (i == begin) return false;
        if (i == part.size()) return true;
        if (part[i] == '.') {
            ++i;
        } else if (part[i] == '_') {
            i += i + 1 < part.size() && part[i + 1] == '_' ? 2 : 1;
        } else if (part[i] == '-') {
            while (i < part.size() && part[i] == '-') ++i;
        } else {
            return false;
        }
    }
}

bool tag_ok(std::string_view tag) {
    if (tag.empty() || tag.size() > 128 || !(alnum(tag[0]) || tag[0] == '_')) return false;
    return std::all_of(tag.begin(), tag.end(), [](char c) { return alnum(c) || c == '_' || c == '.' || c == '-'; });
}

}  // namespace

std::string ImageReference::text() const {
    if (!digest.empty()) return name() + "@" + digest;
    return name() + ":" + (tag.empty() ? "latest" : tag);
}

ImageReference parse_image_reference(std::string_view text) {
    ImageReference out;
    std::string_view rest = text;
    if (const size_t at = rest.find('@'); at != std::string_view::npos) {
        const auto digest = singularity::Digest::try_parse(rest.substr(at + 1));
        if (!digest) refuse(text, "what follows @ is not a sha256 or sha512 digest");
        out.digest = digest->text();
        rest = rest.substr(0, at);
    }
    const size_t slash = rest.rfind('/');
    if (const size_t colon = rest.rfind(':');
        colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
        out.tag = rest.substr(colon + 1);
        if (!tag_ok(out.tag)) refuse(text, "invalid tag \"" + printable(out.tag) + "\"");
        rest = rest.substr(0, colon);
    }
    if (rest.empty()) refuse(text, "it names no repository");
    if (rest.size() == 64 &&
        std::all_of(rest.begin(), rest.end(), [](char c) { return digit(c) || (c >= 'a' && c <= 'f'); }))
        refuse(text, "a name of 64 hexadecimal digits cannot be told from an image's id");

    const size_t first = rest.find('/');
    std::string_view path = rest;
    out.domain = "docker.io";
    if (first != std::string_view::npos) {
        const std::string_view head = rest.substr(0, first);
        if (head == "localhost" || head.find_first_of(".:") != std::string_view::npos ||
            std::any_of(head.begin(), head.end(), upper)) {
            if (!domain_ok(head)) refuse(text, "invalid host \"" + printable(head) + "\"");
            out.domain = head == "index.docker.io" ? "docker.io" : std::string(head);
            path = rest.substr(first + 1);
        }
    }
    if (std::any_of(path.begin(), path.end(), upper)) refuse(text, "repository name must be lowercase");
    out.path = path;
    if (out.domain == "docker.io" && path.find('/') == std::string_view::npos) out.path = "library/" + out.path;
    for (size_t begin = 0; begin <= out.path.size();) {
        const size_t end = std::min(out.path.find('/', begin), out.path.size());
        if (!path_part_ok(std::string_view(out.path).substr(begin, end - begin)))
            refuse(text, "invalid repository name");
        begin = end + 1;
    }
    if (out.name().size() > 255) refuse(text, "the repository name is longer than 255 characters");
    return out;
}

}  // namespace sources
