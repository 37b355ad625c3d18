// SPDX-License-Identifier: BSD-3-Clause
#include <family/directory.hpp>

#include <algorithm>

namespace squashfs {

namespace {

constexpr size_t memory_per_shard = size_t{4} << 20;
constexpr uint32_t most_per_header = 256;
constexpr size_t longest_name = 256;  // of squashfs; the kernel stops at 255

}  // namespace

const Directory::Entry* Directory::find(std::string_view wanted) const {
    const auto at = std::lower_bound(entries.begin(), entries.end(), wanted, [&](const Entry& e, std::string_view w) { return name(e) < w; });
    return at != entries.end() && name(*at) == wanted ? &*at : nullptr;
}

Directory read_directory(MetaCursor cursor, uint64_t size, uint64_t inode_table_size) {
    Directory out;
    uint64_t left = size;
    const auto take = [&](uint8_t* to, size_t n) {
        if (n > left) corrupt("a directory ends within an entry");
        cursor.read(to, n);
        left -= n;
    };
    char name[longest_name];
    while (left > 0) {
        uint8_t header[12];
        take(header, sizeof header);
        const uint64_t count = uint64_t{le32(header)} + 1;
        const uint64_t block = le32(header + 4);
        if (count > most_per_header) corrupt("a directory has a run of " + std::to_string(count) + " entries, the most is 256");
        if (block >= inode_table_size) corrupt("a directory entry points outside the inode table");
        for (uint64_t i = 0; i < count; ++i) {
            uint8_t entry[8];
            take(entry, sizeof entry);
            const uint16_t offset = le16(entry), type = le16(entry + 4);
            const size_t length = size_t{le16(entry + 6)} + 1;
            if (offset >= metadata_size) corrupt("a directory entry points behind a block of the inode table");
            if (type < 1 || type > 7) corrupt("a directory entry has the unknown type " + std::to_string(type));
            if (length > longest_name) corrupt("a directory has a name of " + std::to_string(length) + " bytes");
            take(reinterpret_cast<uint8_t*>(name), length);
            const std::string_view text(name, length);
            if (text == "." || text == ".." || text.find('/') != text.npos || text.find('\0') != text.npos)
                corrupt("a directory has an entry with a name that no file can have");
            // The kernel's look-up relies on the order too; with it, no name is there twice.
            if (!out.entries.empty() && !(out.name(out.entries.back()) < text)) corrupt("a directory is not sorted by name");
            if (out.names.size() > UINT32_MAX - longest_name - 1) corrupt("a directory is larger than 4 GiB");
            out.entries.push_back({block << 16 | offset, static_cast<uint32_t>(out.names.size()), static_cast<uint16_t>(length), type});
            out.names.append(text);
            out.names.push_back('\0');
        }
    }
    return out;
}

std::shared_ptr<const Directory> DirectoryCache::find(Shard& shard, uint64_t node) {
    const auto at = shard.found.find(node);
    if (at == shard.found.end()) return nullptr;
    shard.order.splice(shard.order.begin(), shard.order, at->second);
    return at->second->directory;
}

void DirectoryCache::keep(Shard& shard, uint64_t node, const std::shared_ptr<const Directory>& directory) {
    shard.order.push_front({node, directory});
    try {
        shard.found.emplace(node, shard.order.begin());
    } catch (...) {
        shard.order.pop_front();
        throw;
    }
    shard.memory += directory->memory();
    while (shard.memory > memory_per_shard && shard.order.size() > 1) {
        shard.memory -= shard.order.back().directory->memory();
        shard.found.erase(shard.order.back().node);
        shard.order.pop_back();
    }
}

}  // namespace squashfs
