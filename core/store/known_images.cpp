#include "store/known_images.hpp"

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

}  // namespace

void KnownImages::remember(const std::string& reference, const Identity& id) const {
    put(root_, Records::name_of("reference-", reference), id.key + "\n" + id.name + "\n" + id.area + "\n");
}

std::optional<KnownImages::Identity> KnownImages::last(const std::string& reference) const {
    const auto text = root_.empty() ? std::nullopt : Records(root_).get(Records::name_of("reference-", reference));
    if (!text) return std::nullopt;
    std::string lines[3];
    size_t at = 0;
    for (auto& line : lines) {
        const size_t end = text->find('\n', at);
        if (end == std::string::npos || end == at) return std::nullopt;
        line = text->substr(at, end - at);
        if (line.find('/') != std::string::npos && &line != &lines[0]) return std::nullopt;
        at = end + 1;
    }
    return Identity{lines[0], lines[1], lines[2]};
}

void KnownImages::remember_key(const std::string& key, const std::string& image_key) const {
    put(root_, Records::name_of("key-", key), image_key + "\n" + key + "\n");
}

std::string KnownImages::image_key(const std::string& key) const {
    if (singularity::Digest::try_parse(key)) return key;
    const auto text = root_.empty() ? std::nullopt : Records(root_).get(Records::name_of("key-", key));
    if (!text) return key;
    const auto digest = singularity::Digest::try_parse(std::string_view(*text).substr(0, text->find('\n')));
    return digest ? digest->text() : key;
}

}  // namespace sg
