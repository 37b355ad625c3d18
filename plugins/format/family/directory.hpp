// SPDX-License-Identifier: BSD-3-Clause
// directory.hpp: the entries of one directory, decoded and checked, and a cache of them. Any thread.
#pragma once
#include <family/meta_table.hpp>

#include <string>
#include <string_view>

namespace squashfs {

struct Directory {
    struct Entry {
        uint64_t node;
        uint32_t name;  // offset in `names`
        uint16_t length;
        uint16_t type;  // basic inode type, 1 to 7
    };
    std::vector<Entry> entries;  // names ascending by byte
    std::string names;           // each with a NUL

    std::string_view name(const Entry& e) const { return {names.data() + e.name, e.length}; }
    const Entry* find(std::string_view name) const;
    size_t memory() const { return sizeof *this + entries.capacity() * sizeof(Entry) + names.capacity(); }
};

// Decodes `size` bytes of listing. `inode_table_size`: bytes of the table that entries refer to.
Directory read_directory(MetaCursor cursor, uint64_t size, uint64_t inode_table_size);

class DirectoryCache {
public:
    template <class Load>
    std::shared_ptr<const Directory> get(uint64_t node, Load&& load) {
        Shard& shard = shards_[(node * 0x9E3779B97F4A7C15u) >> 61];
        {
            std::lock_guard lock(shard.mutex);
            if (auto found = find(shard, node)) return found;
        }
        auto made = std::make_shared<const Directory>(load());
        std::lock_guard lock(shard.mutex);
        if (auto found = find(shard, node)) return found;
        keep(shard, node, made);
        return made;
    }

private:
    struct Item {
        uint64_t node;
        std::shared_ptr<const Directory> directory;
    };
    struct Shard {
        std::mutex mutex;
        std::list<Item> order;
        std::unordered_map<uint64_t, std::list<Item>::iterator> found;
        size_t memory = 0;
    };
    static std::shared_ptr<const Directory> find(Shard& shard, uint64_t node);
    static void keep(Shard& shard, uint64_t node, const std::shared_ptr<const Directory>& directory);

    std::array<Shard, 8> shards_;
};

}  // namespace squashfs
