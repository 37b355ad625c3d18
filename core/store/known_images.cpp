#include "store/known_images.hpp"

#include <optional>
#include <singularity/digest.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "store/records.hpp"

namespace sg {

namespace {

void put(const std::string& root, const std::string& name, const std::string& text) {
    if (root.empty()) return;
    const Records records(root);
    if (records.get(name) == text) return;
    try {
        records.put(name, text);
    } catch (const Error& e) {
        log::verbose("not remembered in the cache: " + e.message());
    }
}

// Three lines: key, name, area.
std::optional<KnownImages::Identity> parse_identity(const std::string& text) {
    std::string lines[3];
    size_t at = 0;
    for (auto& line : lines) {
        const size_t end = text.find('\n', at);
        if (end == std::string::npos || end == at) return std::nullopt;
        line = text.substr(at, end - at);
        if (line.find('/') != std::string::npos && &line != &lines[0]) return std::nullopt;
        at = end + 1;
    }
    return KnownImages::Identity{lines[0], lines[1], lines[2]};
}

}  // namespace

void KnownImages::remember(const std::string& reference, const Identity& id) const {
    put(root_, Records::name_of("reference-", reference), id.key + "\n" + id.name + "\n" + id.area + "\n");
}

std::vector<std::string> KnownImages::records(const std::string& name) const {
    std::vector<std::string> out;
    for (const auto& root : {root_, shared_}) {
        auto text = root.empty() ? std::nullopt : Records(root).get(name);
        if (text) out.push_back(*std::move(text));
    }
    return out;
}

std::vector<KnownImages::Identity> KnownImages::last(const std::string& reference) const {
    std::vector<Identity> out;
    for (const auto& text : records(Records::name_of("reference-", reference)))
        if (auto id = parse_identity(text)) out.push_back(*std::move(id));
    return out;
}

void KnownImages::remember_key(const std::string& key, const std::string& image_key) const {
    put(root_, Records::name_of("key-", key), image_key + "\n" + key + "\n");
}

std::string KnownImages::image_key(const std::string& key) const {
    if (singularity::Digest::try_parse(key)) return key;
    for (const auto& text : records(Records::name_of("key-", key)))
        if (const auto digest = singularity::Digest::try_parse(std::string_view(text).substr(0, text.find('\n')))) return digest->text();
    return key;
}

}  // namespace sg
