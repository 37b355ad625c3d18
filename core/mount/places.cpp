#include "mount/places.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace sg {

namespace {
constexpr size_t max_nodes = 1u << 16;
constexpr size_t max_name = 255;
}  // namespace

Places::Places(const sg_root_v1* table, sg_root* root, const std::vector<std::string>& paths) {
    for (const auto& path : paths) add(table, root, path);
}

const std::vector<Places::Index>* Places::below(uint64_t node) const {
    const auto at = std::lower_bound(extended_.begin(), extended_.end(), node,
                                     [](const auto& e, uint64_t n) { return e.first < n; });
    return at != extended_.end() && at->first == node ? &at->second : nullptr;
}

Places::Index Places::find(const std::vector<Index>& children, std::string_view name) const {
    const auto at = std::lower_bound(children.begin(), children.end(), name,
                                     [this](Index i, std::string_view n) { return nodes_[i].name < n; });
    return at != children.end() && nodes_[*at].name == name ? *at : none;
}

size_t Places::directories(const std::vector<Index>& children) const {
    return static_cast<size_t>(
        std::count_if(children.begin(), children.end(), [this](Index i) { return nodes_[i].directory; }));
}

Places::Index Places::insert(std::vector<Index>& siblings, std::string_view name, bool directory) {
    if (siblings.size() >= max_siblings || nodes_.size() >= max_nodes) return none;
    const auto at = std::lower_bound(siblings.begin(), siblings.end(), name,
                                     [this](Index i, std::string_view n) { return nodes_[i].name < n; });
    const Index index = static_cast<Index>(nodes_.size());
    siblings.insert(at, index);
    nodes_.push_back({std::string(name), directory, {}});  // last: `siblings` may be a member of nodes_
    return index;
}

void Places::add(const sg_root_v1* table, sg_root* root, std::string_view path) {
    // First all parts, so that a path that is refused half-way leaves no parents behind.
    std::vector<std::string_view> parts;
    const bool wants_directory = !path.empty() && path.back() == '/';
    while (!path.empty()) {
        const auto slash = path.find('/');
        const auto part = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
        if (part.empty() || part == ".") continue;
        if (part == ".." || part.size() > max_name) return;
        parts.push_back(part);
    }
    if (parts.empty()) return;

    size_t depth = 0;
    uint64_t node = table->root(root);
    std::vector<Index>* siblings = nullptr;
    Index made = none;
    for (; depth < parts.size(); ++depth) {  // through directories of the image
        uint64_t child = SG_NO_NODE;
        const int32_t rc = table->lookup(root, node, parts[depth].data(), parts[depth].size(), &child, nullptr);
        if (rc == SG_ENOTFOUND) break;
        sg_attr attr{};
        if (rc != SG_OK || table->stat(root, child, &attr, nullptr) != SG_OK) return;
        if (!S_ISDIR(attr.mode)) return;
        node = child;
    }
    if (depth == parts.size()) return;
    auto at = std::lower_bound(extended_.begin(), extended_.end(), node,
                               [](const auto& e, uint64_t n) { return e.first < n; });
    if (at == extended_.end() || at->first != node) at = extended_.insert(at, {node, {}});
    siblings = &at->second;
    for (; depth < parts.size(); ++depth) {  // through made ones
        const bool directory = wants_directory || depth + 1 < parts.size();
        made = find(*siblings, parts[depth]);
        if (made == none) made = insert(*siblings, parts[depth], directory);
        if (made == none || !nodes_[made].directory) return;
        siblings = &nodes_[made].children;
    }
}

}  // namespace sg
