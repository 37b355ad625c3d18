#include "library/source.hpp"

#include "library/download.hpp"
#include "library/head_check.hpp"
#include "remotes/file.hpp"
#include "remotes/url.hpp"

namespace library {

using singularity::SourceSpec;

namespace {

// Of Singularity 3.0 to 3.4, when there was a file with the token and nothing else.
constexpr const char* no_token = "Authentication token file not found : Only pulls of public images will succeed";

std::string session_of(const SourceSpec& spec) {
    return spec.reference + "\n" + spec.arch + "\n" + spec.option("library");
}

std::string shown(const LibraryReference& r) { return "library://" + (r.host.empty() ? "" : r.host + "/") + r.image(); }

std::string digest_of(const ImageRecord& image) { return is_hash(image.hash) ? "sha256:" + image.hash.substr(7) : ""; }

// A digest, which the file's bytes are compared with, is a key wherever the image comes from. Any other text is the word
// of this Library alone, and must not stand for an image of another.
std::string key_of(const ImageRecord& image, const Client& client) {
    if (is_hash(image.hash)) return digest_of(image);
    return image.hash.empty() ? "" : client.base() + " " + image.hash;
}

class LibraryImage final : public singularity::BlobImage {
public:
    LibraryImage(std::shared_ptr<const Client> client, const ImageRecord& image, Wanted wanted, std::string shown,
                 bool check_signed, DownloadPlan plan)
        : client_(std::move(client)),
          digest_(digest_of(image)),
          wanted_(std::move(wanted)),
          shown_(std::move(shown)),
          check_signed_(check_signed),
          plan_(plan) {}

    singularity::Blob blob() override {
        singularity::Blob b;
        b.digest = digest_;
        b.size = wanted_.size;
        return b;
    }
    std::unique_ptr<singularity::Stream> fetch(uint64_t offset, const Host& host) override {
        auto stream = download(*client_, wanted_, offset, plan_, host);
        return offset == 0 && check_signed_ ? warn_if_unsigned(std::move(stream), wanted_.size, shown_, host)
                                            : std::move(stream);
    }

private:
    std::shared_ptr<const Client> client_;
    const std::string digest_;
    const Wanted wanted_;
    const std::string shown_;
    const bool check_signed_;
    const DownloadPlan plan_;
};

}  // namespace

Source::Found Source::find(const SourceSpec& spec, const LibraryReference& reference, const Host& host) const {
    auto client = std::make_shared<const Client>(
        client_for(reference, spec.option("library"), spec.option("no-https") == "true", host));
    auto image = client->image(reference.container(), reference.only_tag(), spec.arch, host);
    if (!image || !image->uploaded)
        throw Error(Code::not_found,
                    "image does not exist in the library: " + reference.image() + " (" + spec.arch + ")",
                    client->service().token().empty() ? "A private image needs a login: singularity remote login"
                                                      : "Asked was " + client->base() + ".");
    return {std::move(client), std::move(*image)};
}

singularity::Identity Source::resolve(const SourceSpec& spec, const Host& host) {
    const LibraryReference reference = LibraryReference::parse(spec.reference);
    Found found = find(spec, reference, host);
    singularity::Identity id;
    id.key = key_of(found.image, *found.client);
    id.name = reference.file_name();
    id.cache_area = "library";
    id.arch = found.image.arch;
    const std::lock_guard lock(mutex_);
    found_[session_of(spec)] = std::move(found);
    return id;
}

std::unique_ptr<singularity::Image> Source::open(const SourceSpec& spec, const Host& host) {
    const LibraryReference reference = LibraryReference::parse(spec.reference);
    std::optional<Found> found;
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = found_.find(session_of(spec)); known != found_.end()) found = known->second;
    }
    if (!found) found = find(spec, reference, host);
    if (found->client->service().token().empty()) host.warn(no_token);
    // By its hash: a tag may be given to another image at any time.
    const Wanted wanted{reference.container(), is_hash(found->image.hash) ? found->image.hash : reference.only_tag(),
                        spec.arch, found->image.size};
    return std::make_unique<LibraryImage>(found->client, found->image, wanted, shown(reference),
                                          spec.option("allow-unsigned") != "true", DownloadPlan::of(host));
}

std::string FullName::full_name(const SourceSpec& spec) {
    const LibraryReference reference = LibraryReference::parse(spec.reference);
    std::string host = reference.host;
    if (host.empty()) host = spec.option("library");
    if (host.empty()) host = remotes::read_user(remotes::Paths::find()).need_active().url();
    host = remotes::without_scheme(host);
    return host.substr(0, host.find('/')) + "/" + reference.container();
}

}  // namespace library
