// The source "shub": Singularity Hub's interface, one JSON document for each image.
#include <map>
#include <mutex>
#include <singularity/bootstrap.hpp>
#include <singularity/json.hpp>
#include <singularity/policy.hpp>
#include <singularity/transport.hpp>

#include "reference.hpp"

namespace shub {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

namespace json = singularity::json;

constexpr uint64_t max_answer = 1 << 20;
constexpr uint32_t answer_ms = 30000;      // as Singularity waits
constexpr uint32_t image_ms = 7200000;

struct Entry {
    std::string image;   // URL of the file
    std::string commit;  // what the image was built from, by the word of its registry
};

singularity::ForeignResponse get(const std::string& url, uint32_t total_ms, const Host& host) {
    sg_request request = singularity::plain_request(url.c_str());
    request.total_timeout_ms = total_ms;
    return singularity::send(host, url.substr(0, url.find(':')).c_str(), request);
}

Entry read_entry(singularity::ForeignResponse response, const HubReference& reference) {
    const std::string where = "the answer of " + reference.registry;
    if (response.status() == 404)
        throw Error(Code::not_found, reference.registry + " has no image " + reference.name(),
                    reference.registry == "singularity-hub.org" ? "Singularity Hub takes no new images since 2021; many are on other registries now." : "");
    if (response.status() != 200) throw Error(Code::network, reference.registry + " answers with HTTP status " + std::to_string(response.status()) + " for " + reference.name());
    const auto body = response.body();
    const json::Document document(singularity::read_all(*body, max_answer, where), where, max_answer);
    Entry entry{document.root()["image"].text(), document.root()["commit"].text_or()};
    const bool secure = response.url().starts_with("https://");
    if (!entry.image.starts_with("https://") && !(entry.image.starts_with("http://") && !secure))
        throw Error(Code::invalid, where + " names an image that is not fetched by https: " + json::printable(entry.image));
    for (const char c : entry.commit)
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) throw Error(Code::invalid, where + " has an odd commit: " + json::printable(entry.commit));
    return entry;
}

Entry ask(const HubReference& reference, const Host& host) {
    const std::string path = reference.registry + "/api/container/" + reference.name();
    try {
        return read_entry(get("https://" + path, answer_ms, host), reference);
    } catch (const Error& e) {
        // What answered was https: its word counts.
        const bool no_answer = e.code() == Code::network || e.code() == Code::io || e.code() == Code::unauthorized || e.code() == Code::corrupt;
        if (!reference.is_local() || !no_answer) throw;
        host.debug(e.message() + ": trying http");
    }
    return read_entry(get("http://" + path, answer_ms, host), reference);
}

// One file; its size is known when its answer has begun.
class HubImage final : public singularity::BlobImage {
public:
    HubImage(const Entry& entry, const Host& host) : response_(get(entry.image, image_ms, host)) {
        if (response_.status() == 404) throw Error(Code::not_found, "the requested image was not found: " + json::printable(entry.image));
        if (response_.status() != 200) throw Error(Code::network, json::printable(entry.image) + " answers with HTTP status " + std::to_string(response_.status()));
    }
    singularity::Blob blob() override {
        singularity::Blob b;
        b.size = response_.size();
        return b;
    }
    std::unique_ptr<singularity::Stream> fetch(uint64_t offset, const Host&) override {
        if (offset != 0 || std::exchange(fetched_, true)) throw Error(Code::unsupported, "a hub's image is read once, from its beginning");
        return response_.body();
    }

private:
    singularity::ForeignResponse response_;
    bool fetched_ = false;
};

}  // namespace

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host& host) override {
        const HubReference reference = parse_hub_reference(spec.reference);
        const Entry entry = ask(reference, host);
        singularity::Identity id;
        // Nothing can be compared with a commit: it must not stand for an image of another registry.
        if (!entry.commit.empty()) id.key = reference.registry + " " + entry.commit;
        id.name = reference.file_name();
        id.cache_area = "shub";
        const std::lock_guard lock(mutex_);
        entries_[spec.reference] = entry;
        return id;
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        return std::make_unique<HubImage>(entry_of(spec.reference, host), host);
    }

private:
    // What `resolve` found, so that the image is the one whose commit is the cache's key.
    Entry entry_of(const std::string& text, const Host& host) {
        {
            const std::lock_guard lock(mutex_);
            if (const auto known = entries_.find(text); known != entries_.end()) return known->second;
        }
        return ask(parse_hub_reference(text), host);
    }
    std::mutex mutex_;
    std::map<std::string, Entry> entries_;
};

// For a host's policies: "singularity-hub.org/USER/CONTAINER".
class FullName final : public singularity::NamedSource {
public:
    std::string full_name(const singularity::SourceSpec& spec) override {
        const HubReference r = parse_hub_reference(spec.reference);
        return r.registry + "/" + r.user + "/" + r.container;
    }
};

}  // namespace shub

SINGULARITY_PLUGIN(shub, shub::Source, shub::FullName)
