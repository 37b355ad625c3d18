#include "family/naming.hpp"

#include <cctype>

namespace sources {
namespace {

std::string_view last_component(std::string_view path) {
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    return path.substr(path.rfind('/') + 1);
}

bool strip(std::string_view& text, std::string_view suffix) {
    if (text.size() <= suffix.size() || text.substr(text.size() - suffix.size()) != suffix) return false;
    text.remove_suffix(suffix.size());
    return true;
}

std::string_view without_archive_suffixes(std::string_view base) {
    for (std::string_view s : {".gz", ".xz", ".zst", ".zstd", ".bz2", ".lz4"})
        if (strip(base, s)) break;
    for (std::string_view s : {".tar", ".tgz", ".txz", ".tzst", ".tbz2"})
        if (strip(base, s)) break;
    strip(base, ".oci");
    return base;
}

std::string safe(std::string_view text) {
    std::string out;
    for (char c : text.substr(0, 100)) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
        out += plain ? c : '_';
    }
    const size_t begin = out.find_first_not_of('.');
    return begin == std::string::npos ? std::string() : out.substr(begin);
}

}  // namespace

std::string default_file_name(std::string_view path, std::string_view name) {
    std::string_view base = without_archive_suffixes(last_component(path)), tag = "latest";
    if (!name.empty() && name.front() == '@') name = {};
    if (name.substr(0, 7) == "sha256:" || name.substr(0, 7) == "sha512:") name = {};
    if (const size_t at = name.find('@'); at != std::string_view::npos) name = name.substr(0, at);
    const std::string_view last = last_component(name);
    const size_t colon = last.find(':');
    if (colon != std::string_view::npos) {
        base = last.substr(0, colon);
        tag = last.substr(colon + 1);
    } else if (name.find('/') != std::string_view::npos) {
        base = last;
    } else if (!name.empty()) {
        tag = name;
    }
    std::string stem = safe(base);
    if (stem.empty()) stem = "image";
    return stem + "_" + (safe(tag).empty() ? "latest" : safe(tag)) + ".sif";
}

}  // namespace sources
