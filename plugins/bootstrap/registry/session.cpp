#include "registry/session.hpp"

#include <algorithm>

#include "registry/site.hpp"

namespace registry {
namespace {

constexpr size_t max_kept = 16;

// All that decides which image is meant and who asks for it.
std::string key_of(const singularity::SourceSpec& spec) {
    std::string out = spec.reference;
    for (const auto& [key, value] : spec.options) out += "\n" + key + "=" + value;
    return out;
}

}  // namespace

sources::ImageReference reference_of(const singularity::SourceSpec& spec) {
    const std::string server = spec.option("registry"), name_space = spec.option("namespace");
    if (server.empty())
        return sources::parse_image_reference(with_default(site_defaults(), name_space, spec.reference));
    return sources::parse_image_reference(joined_reference(server, name_space, spec.reference));
}

std::string file_name(const sources::ImageReference& reference) {
    // Cut so that the whole fits an identity and a file system, whatever the digest.
    std::string base = reference.path.substr(reference.path.rfind('/') + 1).substr(0, 100);
    std::string tag = reference.tag;
    if (tag.empty() && !reference.digest.empty()) {
        tag = reference.digest;
        std::replace(tag.begin(), tag.end(), ':', '.');
    }
    return base + "_" + (tag.empty() ? "latest" : tag) + ".sif";
}

bool wants_no_https(const singularity::SourceSpec& spec) { return spec.option("no-https") == "true"; }

std::shared_ptr<Repository> Sessions::begin(const singularity::SourceSpec& spec, const Host& host) {
    sources::ImageReference reference = reference_of(spec);
    std::vector<Endpoint> endpoints = endpoints_of(reference, effective_conf(), wants_no_https(spec));
    auto accounts = std::make_shared<Accounts>(spec);
    accounts->ask(endpoints.back().server, host);
    auto repository = std::make_shared<Repository>(std::move(reference), std::move(endpoints), std::move(accounts));
    const std::lock_guard lock(mutex_);
    kept_.push_front({key_of(spec), repository});
    if (kept_.size() > max_kept) kept_.pop_back();
    return repository;
}

std::shared_ptr<Repository> Sessions::resolved(const singularity::SourceSpec& spec, const Host& host) {
    {
        const std::lock_guard lock(mutex_);
        const std::string key = key_of(spec);
        const auto it = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.key == key; });
        if (it != kept_.end()) return it->repository;
    }
    return begin(spec, host);
}

}  // namespace registry
