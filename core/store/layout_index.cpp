#include "store/layout_index.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <singularity/json.hpp>
#include <singularity/media_type.hpp>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "store/blob_store.hpp"
#include "store/new_file.hpp"
#include "store/records.hpp"

namespace sg {

namespace {

namespace json = singularity::json;

constexpr const char* kPrefix = "image-";
constexpr const char* kMarker = "{\"imageLayoutVersion\": \"1.0.0\"}";
constexpr int kMostRounds = 1000;  // each means that another process added an image meanwhile

std::string quoted(const std::string& text) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.String(text);
    return buffer.GetString();
}

std::string entry_text(const LayoutEntry& e) {
    std::string out = "{\"mediaType\":" + quoted(std::string(singularity::media_type::oci_manifest)) + ",\"digest\":" + quoted(e.digest) +
                      ",\"size\":" + std::to_string(e.size) + ",\"annotations\":{\"org.opencontainers.image.ref.name\":" + quoted(e.name) +
                      "},\"platform\":{\"architecture\":" + quoted(e.architecture) + ",\"os\":" + quoted(e.os.empty() ? "linux" : e.os);
    if (!e.variant.empty()) out += ",\"variant\":" + quoted(e.variant);
    return out + "}}";
}

// Digest and name -> the entry's JSON.
using Entries = std::map<std::string, std::string>;

void take(const json::Value& entry, const BlobStore& blobs, Entries& out) {
    const auto digest = Digest::try_parse(entry["digest"].text_or());
    if (digest && blobs.find(*digest))
        out[digest->text() + " " + entry["annotations"]["org.opencontainers.image.ref.name"].text_or()] = entry.dump();
}

}  // namespace

void LayoutIndex::add(const LayoutEntry& entry) const {
    Records(root_).put(kPrefix + entry.name, entry_text(entry));
    write();
}

void LayoutIndex::write() const {
    const std::string directory = BlobStore::layout(root_);
    const BlobStore blobs(root_, {});
    const Records records(root_);
    std::vector<std::string> known;
    std::string text;
    for (int round = 0; round < kMostRounds; ++round) {
        known = records.names(kPrefix);
        Entries entries;
        // What other tools and older versions put there stays.
        if (const auto old = records.read_file(directory + "/index.json")) {
            try {
                const json::Document document(*old, "index.json");
                for (const auto& e : document.root()["manifests"].list()) take(e, blobs, entries);
            } catch (const Error& e) {
                log::verbose("the cache's list of images is written anew: " + e.message());
            }
        }
        for (const auto& name : known) {
            const auto record = records.get(name);
            if (!record) continue;
            try {
                const json::Document document(*record, name);
                take(document.root(), blobs, entries);
            } catch (const Error& e) {
                log::verbose("a record of the cache is not used: " + e.message());
            }
        }
        text = "{\"schemaVersion\":2,\"manifests\":[";
        for (bool first = true; const auto& [key, entry] : entries) {
            text += (first ? "" : ",") + entry;
            first = false;
        }
        text += "]}";
        write_cache_file(root_, directory + "/index.json", text);
        if (round == 0) write_cache_file(root_, directory + "/oci-layout", kMarker);
        records.look_anew();
        // The look afterwards: nothing new, and what is there is what we wrote.
        if (records.names(kPrefix) == known && records.read_file(directory + "/index.json") == text) return;
    }
    log::verbose("the cache's list of images changed all the time while it was written");
}

}  // namespace sg
