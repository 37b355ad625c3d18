// SPDX-License-Identifier: BSD-3-Clause
// walk.hpp: touches everything of an image that may be damaged, within bounds; for tests and the fuzz target.
#pragma once
#include <family/squashfs_reader.hpp>

#include <set>
#include <sys/stat.h>
#include <vector>

namespace testing {

struct Walk {
    singularity::StoredRoot& root;
    std::set<uint64_t> seen;
    uint64_t errors = 0, files = 0, bytes = 0;
    std::vector<uint8_t> buffer = std::vector<uint8_t>(size_t{1} << 20);

    explicit Walk(singularity::StoredRoot& r) : root(r) {}

    // Only singularity::Error may come out of a reader.
    template <class F>
    void attempt(F&& f) {
        try {
            f();
        } catch (const singularity::Error&) {
            ++errors;
        }
    }

    void all() {
        std::vector<uint64_t> open{root.root()};
        while (!open.empty() && seen.size() < 5000) {
            const uint64_t node = open.back();
            open.pop_back();
            if (!seen.insert(node).second) continue;
            attempt([&] { visit(node, open); });
        }
    }

    void visit(uint64_t node, std::vector<uint64_t>& open) {
        const sg_attr a = root.stat(node);
        attempt([&] {
            root.xattrs(node, [](void*, const char*, const void*, uint64_t) -> int32_t { return 0; }, nullptr);
        });
        attempt([&] { root.placement(node); });
        if (S_ISDIR(a.mode)) {
            root.list(node, 0, [](void* arg, const char*, uint64_t, uint64_t child, uint32_t, uint64_t) -> int32_t {
                static_cast<std::vector<uint64_t>*>(arg)->push_back(child);
                return 0;
            }, &open);
            attempt([&] { root.lookup(node, "usr"); });
        } else if (S_ISLNK(a.mode)) {
            root.link_target(node);
        } else if (S_ISREG(a.mode)) {
            ++files;
            for (const uint64_t at : {uint64_t{0}, a.size / 2, a.size > 100 ? a.size - 100 : 0})
                attempt([&] { bytes += root.read(node, at, buffer.data(), buffer.size()); });
            attempt([&] { bytes += root.block(node, a.size / 3).size(); });
            attempt([&] {
                sg_stored_block blocks[16], shared;
                uint64_t offset = 0;
                root.blocks(node, blocks, 16, shared, offset);
            });
        }
    }
};

}  // namespace testing
