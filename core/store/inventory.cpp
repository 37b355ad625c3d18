#include "store/inventory.hpp"

#include <dirent.h>
#include <fts.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string_view>

#include "store/blob_store.hpp"
#include "store/segment_area.hpp"

namespace sg {

namespace {

bool is_hash(const std::string& name) {
    return name.size() >= 32 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Names in a real directory, sorted, without those that begin with a dot.
std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> out;
    struct stat st;
    if (lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return out;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()), closedir);
    if (!dir) return out;
    while (const dirent* e = readdir(dir.get()))
        if (e->d_name[0] != '.') out.emplace_back(e->d_name);
    std::sort(out.begin(), out.end());
    return out;
}

// Adds a regular file; false when it is another thing.
bool add(std::vector<CachedFile>& to, const std::string& area, const std::string& hash, const std::string& name, const std::string& path) {
    struct stat st;
    if (lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
    to.push_back({area, hash, name, path, static_cast<uint64_t>(st.st_size), st.st_mtim.tv_sec, std::max(st.st_atim.tv_sec, st.st_mtim.tv_sec)});
    return true;
}

// Bytes of the files below a directory; follows no link.
uint64_t tree_bytes(std::string path) {
    char* const roots[] = {path.data(), nullptr};
    const std::unique_ptr<FTS, int (*)(FTS*)> walk(fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr), fts_close);
    uint64_t n = 0;
    while (const FTSENT* e = walk ? fts_read(walk.get()) : nullptr)
        if (e->fts_info == FTS_F) n += static_cast<uint64_t>(e->fts_statp->st_size);
    return n;
}

// Adds an image that is a directory (unpacked for machines that cannot mount it).
void add_directory(std::vector<CachedFile>& to, const std::string& area, const std::string& hash, const std::string& name, const std::string& path) {
    struct stat st;
    if (lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
        to.push_back({area, hash, name, path, tree_bytes(path), st.st_mtim.tv_sec, std::max(st.st_atim.tv_sec, st.st_mtim.tv_sec), true});
}

uint64_t sum(const std::vector<CachedFile>& files) {
    uint64_t n = 0;
    for (const auto& f : files) n += f.size;
    return n;
}

}  // namespace

uint64_t Inventory::image_bytes() const { return sum(images); }
uint64_t Inventory::blob_bytes() const { return sum(blobs); }
uint64_t Inventory::segment_bytes() const { return sum(segments); }

Inventory take_inventory(const std::string& root, const std::vector<std::string>& areas) {
    Inventory out;
    for (const auto& area : areas) {
        for (const auto& entry : names_in(root + "/" + area)) {
            const std::string hash = entry.substr(0, entry.find('.'));
            if (!is_hash(hash)) continue;
            const std::string path = root + "/" + area + "/" + entry;
            if (add(out.images, area, hash, hash, path)) continue;
            for (const auto& name : names_in(path))
                if (!add(out.images, area, hash, name, path + "/" + name)) add_directory(out.images, area, hash, name, path + "/" + name);
        }
    }
    const std::string segments = root + "/" + segment_area;
    for (const auto& hash : names_in(segments))
        for (const auto& name : names_in(segments + "/" + hash))
            if (is_hash(hash)) add(out.segments, segment_area, hash, name, segments + "/" + hash + "/" + name);
    const std::string blobs = BlobStore::layout(root) + "/blobs";
    for (const auto& algorithm : names_in(blobs))
        for (const auto& hex : names_in(blobs + "/" + algorithm)) add(out.blobs, "", hex, hex, blobs + "/" + algorithm + "/" + hex);
    return out;
}

std::vector<std::string> areas_in(const std::string& root) {
    // What the cache has for itself, whatever lies there, is no area of images.
    static constexpr std::string_view own[] = {"records", "leases", "state", "tmp", "index", segment_area};
    std::vector<std::string> out;
    for (const auto& name : names_in(root)) {
        if (root + "/" + name == BlobStore::layout(root) || std::find(std::begin(own), std::end(own), name) != std::end(own)) continue;
        const auto entries = names_in(root + "/" + name);
        if (std::any_of(entries.begin(), entries.end(), [](const std::string& e) { return is_hash(e.substr(0, e.find('.'))) && e.size() >= 64; }))
            out.push_back(name);
    }
    return out;
}

}  // namespace sg
