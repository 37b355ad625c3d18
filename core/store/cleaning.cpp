#include "store/cleaning.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <singularity/json.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "store/blob_store.hpp"
#include "store/inventory.hpp"
#include "store/layout_index.hpp"
#include "store/lease.hpp"
#include "store/new_file.hpp"
#include "store/output.hpp"
#include "store/plugin_state.hpp"
#include "store/records.hpp"

namespace sg {

namespace {

namespace json = singularity::json;

constexpr int64_t kDay = 24 * 60 * 60;
constexpr int64_t kYoung = 60 * 60;  // seconds for which an unlisted blob may belong to an image that is on its way

// An image of the OCI layout and the blobs that it needs.
struct Listed {
    std::string name, manifest;
    std::set<std::string> blobs;  // hex, the manifest's own included
};

class Cleaning {
public:
    Cleaning(const std::string& root, const CleanWish& wish, bool dry, const std::function<void(const std::string&)>& removing)
        : root_(root), wish_(wish), dry_(dry), removing_(removing), now_(time(nullptr)), inventory_(take_inventory(root, wish.areas)) {
        for (const auto& b : inventory_.blobs) blobs_[b.hash] = &b;
        read_index();
        for (const auto& l : listed_) known_.insert(l.blobs.begin(), l.blobs.end());
    }

    void run() {
        if (wish_.most_bytes) return shrink(*wish_.most_bytes);
        for (const auto& image : inventory_.images)
            if (meant(image.modified) && named({image.name, image.hash})) remove_image(image);
        if (wish_.segments)
            for (const auto& segment : inventory_.segments)
                if (meant(segment.modified) && named({segment.name, segment.hash})) remove_image(segment);
        if (!wish_.blobs) return;
        for (auto it = listed_.begin(); it != listed_.end();) {
            const auto at = blobs_.find(it->manifest);
            const bool goes = at == blobs_.end() || (meant(at->second->modified) && named({it->name, it->manifest}));
            it = goes ? listed_.erase(it) : std::next(it);
        }
        remove_unlisted();
    }

private:
    bool meant(int64_t modified) const { return !wish_.older_than || modified < now_ - kDay * static_cast<int64_t>(*wish_.older_than); }
    bool named(const std::vector<std::string>& names) const {
        return wish_.names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& n) {
                   return std::find(wish_.names.begin(), wish_.names.end(), n) != wish_.names.end();
               });
    }

    void read_index() {
        const auto text = Records(root_).read_file(BlobStore::layout(root_) + "/index.json");
        if (!text) return;
        try {
            const json::Document document(*text, "index.json");
            for (const auto& m : document.root()["manifests"].list()) {
                const auto digest = Digest::try_parse(m["digest"].text_or());
                if (!digest) continue;
                Listed l{m["annotations"]["org.opencontainers.image.ref.name"].text_or(), digest->hex(), {digest->hex()}};
                add_blobs(*digest, l.blobs, 0);
                listed_.push_back(std::move(l));
            }
        } catch (const Error& e) {
            log::verbose("the list of images is not readable: " + e.message());
        }
    }

    // What a manifest, or the manifests of an index, name.
    void add_blobs(const Digest& digest, std::set<std::string>& to, int depth) const {
        const auto text = BlobStore(root_, {}).document(digest, json::max_bytes);
        if (!text || depth > 4) return;
        const json::Document document(*text, digest.text());
        const auto add = [&](const json::Value& d) {
            if (const auto found = Digest::try_parse(d["digest"].text_or())) {
                to.insert(found->hex());
                if (depth >= 0 && d["platform"].present()) add_blobs(*found, to, depth + 1);
            }
        };
        add(document.root()["config"]);
        for (const auto& l : document.root()["layers"].list()) add(l);
        for (const auto& m : document.root()["manifests"].list()) add(m);
    }

    void remove_image(const CachedFile& image) {
        removing_(image.path);
        if (dry_) return;
        remove_tree(image.path);
        const std::string directory = image.path.substr(0, image.path.rfind('/'));
        unlink((directory + "/." + image.name + ".stamp").c_str());
        rmdir(directory.c_str());  // when it was the last one
    }

    // Blobs that no listed image needs; of a wish that does not mean all, young ones stay.
    uint64_t remove_unlisted() {
        std::set<std::string> needed;
        for (const auto& l : listed_) needed.insert(l.blobs.begin(), l.blobs.end());
        const bool all = !wish_.older_than && wish_.names.empty() && !wish_.most_bytes;
        uint64_t freed = 0;
        for (auto it = blobs_.begin(); it != blobs_.end();) {
            const CachedFile& b = *it->second;
            // Of an image that is on its way, or that was never finished.
            const bool unknown = known_.count(b.hash) == 0;
            const bool stays = unknown && !all && (!wish_.names.empty() || b.modified > now_ - kYoung || !meant(b.modified));
            if (needed.count(b.hash) != 0 || stays) {
                ++it;
                continue;
            }
            removing_(b.path);
            if (!dry_) remove_tree(b.path);
            freed += b.size;
            it = blobs_.erase(it);
        }
        if (!dry_ && freed > 0) LayoutIndex(root_).write();
        return freed;
    }

    // The least recently used go until the rest is small enough.
    void shrink_files(std::vector<CachedFile> files, uint64_t& total, uint64_t most) {
        std::sort(files.begin(), files.end(), [](const CachedFile& a, const CachedFile& b) { return a.used < b.used; });
        for (const auto& file : files) {
            if (total <= most) return;
            remove_image(file);
            total -= std::min(total, file.size);
        }
    }

    // Layers go first, what was made of them before what was fetched: a finished image starts without them.
    void shrink(uint64_t most) {
        uint64_t total = inventory_.image_bytes() + inventory_.blob_bytes() + inventory_.segment_bytes();
        if (wish_.segments) shrink_files(inventory_.segments, total, most);
        if (wish_.blobs) {
            const auto used = [&](const Listed& l) {
                const auto at = blobs_.find(l.manifest);
                return at == blobs_.end() ? 0 : at->second->used;
            };
            std::sort(listed_.begin(), listed_.end(), [&](const Listed& a, const Listed& b) { return used(a) > used(b); });
            while (total > most && !listed_.empty()) {
                listed_.pop_back();
                total -= std::min(total, remove_unlisted());
            }
        }
        shrink_files(inventory_.images, total, most);
    }

    const std::string& root_;
    const CleanWish& wish_;
    const bool dry_;
    const std::function<void(const std::string&)>& removing_;
    const int64_t now_;
    const Inventory inventory_;
    std::map<std::string, const CachedFile*> blobs_;  // by hex; those that are still there
    std::vector<Listed> listed_;
    std::set<std::string> known_;  // blobs that belonged to a listed image
};

}  // namespace

void forget_images(const std::string& root) {
    const Records records(root);
    for (const auto& name : records.names("")) records.remove(name);
    // What was found out about image files anywhere (runtime/image_records.hpp): it is found out again.
    for (const char* kind : {"digests", "signers"}) remove_tree(root + "/" + kind);
    forget_plugin_states(root);
    remove_left_over(root);
}

void clean_cache(const std::string& root, const CleanWish& wish, bool dry, const std::function<void(const std::string&)>& removing) {
    if (!dry) {
        remove_left_over(root);
        Lease::remove_left_over(root);
    }
    Cleaning(root, wish, dry, removing).run();
}

}  // namespace sg
