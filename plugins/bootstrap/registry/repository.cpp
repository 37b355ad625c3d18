#include "registry/repository.hpp"

#include <algorithm>
#include <singularity/json.hpp>
#include <singularity/media_type.hpp>

#include "registry/blob_stream.hpp"

namespace registry {
namespace {

namespace json = singularity::json;
namespace media_type = singularity::media_type;

constexpr int max_index_depth = 4;

// Without the index types some registries convert what they have, or say that it is not there.
std::vector<Header> accepted() {
    std::vector<Header> out;
    for (std::string_view type : {media_type::oci_manifest, media_type::docker_manifest, media_type::oci_index,
                                  media_type::docker_list, media_type::docker_schema1_signed,
                                  media_type::docker_schema1})
        out.push_back({"Accept", std::string(type), false});
    return out;
}

std::string tag_text(const sources::ImageReference& r) {
    return !r.digest.empty() ? r.digest : r.tag.empty() ? "latest" : r.tag;
}

void check_digest(const Digest& digest, std::string_view bytes, const std::string& what) {
    const Digest found = sources::hash(digest.algorithm(), bytes);
    if (found == digest) return;
    throw Error(Code::corrupt, what + ": what came does not match the digest " + digest.text(),
                "The registry, or something on the way to it, is broken or lies.", "its digest is " + found.text());
}

// The digest that a header tells, when it is one that we can check.
std::optional<Digest> told_digest(const Answer& answer) {
    return Digest::try_parse(answer.header("Docker-Content-Digest"));
}

}  // namespace

Repository::Repository(sources::ImageReference reference, std::vector<Endpoint> endpoints,
                       std::shared_ptr<Accounts> accounts, Clock& clock)
    : reference_(std::move(reference)) {
    for (Endpoint& e : endpoints) clients_.push_back(std::make_unique<Client>(std::move(e), accounts, clock));
    digest_ = Digest::try_parse(reference_.digest);
}

std::string Repository::subject() const { return "Error reading manifest " + tag_text(reference_) + " in " + name(); }

// The server that answered first; before that the registry itself.
size_t Repository::chosen() {
    const std::lock_guard lock(mutex_);
    return chosen_.value_or(clients_.size() - 1);
}

Client& Repository::client() { return *clients_[chosen()]; }

// Asks the servers one after another; the first that answers well is the one from now on. A mirror that fails is told
// of, and so is its failure when all fail.
template <class F>
auto Repository::on_first(F&& ask, const Host& host) {
    std::string failures;
    for (size_t i = 0;; ++i) {
        Client& client = *clients_[i];
        const bool last = i + 1 == clients_.size();
        try {
            auto out = ask(client);
            const std::lock_guard lock(mutex_);
            chosen_ = i;
            return out;
        } catch (const Error& e) {
            if (e.code() == Code::cancelled || e.code() == Code::usage) throw;
            if (!last) {
                host.warn("mirror " + client.endpoint().host + ": " + e.message().substr(0, e.message().find('\n')));
                failures += (failures.empty() ? "" : ", ") + client.endpoint().host;
                continue;
            }
            const std::string hint = failures.empty() ? e.hint() : "Its mirrors failed as well (" + failures + "). " + e.hint();
            throw Error(e.code(), "conveyor failed to get: " + e.message(), hint, e.detail());
        }
    }
}

// Asks the chosen server, `passed` places further on, and those behind it while they fail: a mirror need not have all.
template <class F>
auto Repository::on_chosen(F&& ask, const Host& host, size_t passed) {
    for (size_t i = std::min(chosen() + passed, clients_.size() - 1);; ++i) {
        try {
            return ask(*clients_[i]);
        } catch (const Error& e) {
            if (e.code() == Code::cancelled || i + 1 == clients_.size()) throw;
            host.warn("mirror " + clients_[i]->endpoint().host + ": " + e.message().substr(0, e.message().find('\n')));
        }
    }
}

FoundManifest Repository::get(Client& client, const std::string& which, const std::optional<Digest>& expected,
                              const Host& host) {
    const std::string what = "Error reading manifest " + which + " in " + name();
    try {
        Request request;
        request.url = client.path("manifests/" + which);
        request.headers = accepted();
        Answer answer = client.send(std::move(request), host);
        if (answer.status() != 200) client.refuse(std::move(answer), what);
        const std::string type = media_type::essence(answer.header("Content-Type"));
        const auto told = told_digest(answer);
        std::string bytes = answer.text(sources::max_document, "the manifest");
        const size_t begin = bytes.find_first_not_of(" \t\r\n");
        if (type == "text/html" || (begin != std::string::npos && bytes[begin] == '<'))
            throw Error(Code::corrupt, "the server answered with a web page and not with a manifest",
                        "Is " + client.endpoint().host + " a registry, and no portal or proxy in between?");
        if (told) check_digest(*told, bytes, client.endpoint().host);
        if (expected) check_digest(*expected, bytes, client.endpoint().host);
        const Digest digest = expected ? *expected
                              : told   ? *told
                                       : sources::hash(Digest::Algorithm::sha256, bytes);
        return {std::move(bytes), type, digest};
    } catch (const Error& e) {
        if (e.code() == Code::cancelled || e.message().rfind(what, 0) == 0) throw;
        throw e.within(what);
    }
}

Digest Repository::digest(const Host& host) {
    if (digest_) return *digest_;
    digest_ = on_first(
        [&](Client& client) -> Digest {
            try {
                Request request;
                request.method = "HEAD";
                request.url = client.path("manifests/" + tag_text(reference_));
                request.headers = accepted();
                const Answer answer = client.send(std::move(request), host);
                if (answer.status() == 200)
                    if (const auto told = told_digest(answer)) return *told;
            } catch (const Error& e) {
                if (e.code() == Code::cancelled) throw;
                throw e.within(subject());
            }
            // Not said, or an error, whose text only a GET has.
            kept_ = get(client, tag_text(reference_), std::nullopt, host);
            return kept_->digest;
        },
        host);
    return *digest_;
}

FoundManifest Repository::manifest(const Host& host) {
    if (kept_) return *kept_;
    if (chosen_ && digest_) {
        try {
            return on_chosen([&](Client& client) { return get(client, digest_->text(), digest_, host); }, host);
        } catch (const Error& e) {
            throw e.within("conveyor failed to get");
        }
    }
    // Whoever asks again gets the same, though the tag may have moved.
    kept_ = on_first([&](Client& client) { return get(client, tag_text(reference_), digest_, host); }, host);
    digest_ = kept_->digest;
    return *kept_;
}

FoundManifest Repository::manifest(const Descriptor& descriptor, const Host& host) {
    const std::string where = name() + ": " + descriptor.digest.text();
    if (descriptor.data) {
        check_digest(descriptor.digest, *descriptor.data, where);
        return {*descriptor.data, descriptor.media_type, descriptor.digest};
    }
    FoundManifest out = on_chosen(
        [&](Client& client) { return get(client, descriptor.digest.text(), descriptor.digest, host); }, host);
    if (out.bytes.size() != descriptor.size)
        throw Error(Code::corrupt, where + " has " + std::to_string(out.bytes.size()) + " bytes, and " +
                                       std::to_string(descriptor.size) + " are announced");
    // What the index says counts as much as what the server says now.
    if (media_type::kind(out.media_type) == media_type::Kind::other) out.media_type = descriptor.media_type;
    return out;
}

Answer Repository::request_blob(const Descriptor& descriptor, uint64_t offset, const Host& host, size_t passed) {
    return on_chosen([&](Client& client) { return request_blob(client, descriptor, offset, host); }, host, passed);
}

Answer Repository::request_blob(Client& client, const Descriptor& descriptor, uint64_t offset, const Host& host) {
    const std::string what = "Error reading blob " + descriptor.digest.text() + " in " + name();
    Request request;
    request.url = client.path("blobs/" + descriptor.digest.text());
    request.range_begin = offset;
    Answer answer = client.send(std::move(request), host);
    if (answer.status() == 200 || answer.status() == 206) return answer;
    if (!descriptor.urls.empty()) return request_foreign(descriptor, offset, host);
    if (answer.status() == 416)
        throw Error(Code::corrupt, what + ": the server has fewer bytes than the " + std::to_string(descriptor.size) +
                                       " of the manifest");
    client.refuse(std::move(answer), what);
}

// From the URLs of the descriptor (image-spec, descriptor.md, "urls"), as nobody in particular.
Answer Repository::request_foreign(const Descriptor& descriptor, uint64_t offset, const Host& host) {
    const std::string what = "Error reading blob " + descriptor.digest.text() + " in " + name();
    std::optional<Error> failure;
    for (const std::string& text : descriptor.urls) {
        const auto url = parse_url(text);
        if (!url || is_link_local(url->host)) continue;
        try {
            Request request;
            request.url = url->text();
            request.range_begin = offset;
            Answer answer = registry::send(request, host);
            if (answer.status() == 200 || answer.status() == 206) return answer;
            failure = Error(Code::not_found, what + ": " + url->origin() + " answers with HTTP status " +
                                                 std::to_string(answer.status()));
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            failure = e.within(what);
        }
    }
    if (failure) throw *failure;
    throw Error(Code::not_found, what + ": the registry does not have this layer, and none of its URLs can be used");
}

std::string Repository::read_config(const Descriptor& descriptor, uint64_t limit, const Host& host) {
    const std::string where = name() + ": the config " + descriptor.digest.text();
    if (descriptor.size > limit)
        throw Error(Code::limit, where + " is larger than the limit of " + std::to_string(limit) + " bytes");
    const auto stream = blob(descriptor, host);
    std::string bytes = singularity::read_all(*stream, limit, where);
    check_digest(descriptor.digest, bytes, name() + ": the config");
    return bytes;
}

std::unique_ptr<Stream> Repository::blob(const Descriptor& descriptor, const Host& host, uint64_t offset) {
    if (descriptor.data) return stream_text(descriptor.data->substr(std::min<uint64_t>(offset, descriptor.data->size())));
    const std::string what = "blob " + descriptor.digest.text() + " of " + name();
    if (offset >= descriptor.size && offset > 0) return stream_text({});
    // The first request is made here, so that what is refused is said at once.
    Answer first = request_blob(descriptor, offset, host);
    // After every second break the next server is asked.
    auto open = [this, descriptor, host, breaks = size_t{0}](uint64_t from) mutable {
        return request_blob(descriptor, from, host, ++breaks / 2);
    };
    return stream_blob(std::move(open), std::move(first), what, offset, descriptor.size, host, client().clock());
}

PlatformImage choose_platform(Repository& repository, const sources::Wanted& wanted, const Host& host) {
    FoundManifest found = repository.manifest(host);
    for (int depth = 0;; ++depth) {
        const std::string where = repository.reference().text();
        auto body = sources::parse_body(found.bytes, found.media_type, where);
        if (auto* manifest = std::get_if<sources::ImageManifest>(&body)) return {std::move(found), std::move(*manifest)};
        if (depth == max_index_depth)
            throw Error(Code::limit, where + ": indexes are nested deeper than " + std::to_string(max_index_depth) + " levels");
        const auto& entries = std::get<sources::Index>(body).manifests;
        std::vector<Descriptor> usable;
        for (const Descriptor& d : entries) {
            const auto kind = media_type::kind(d.media_type);
            if (d.media_type.empty() || kind == media_type::Kind::index || kind == media_type::Kind::manifest)
                usable.push_back(d);
        }
        const auto fitting = sources::entries_for(usable, wanted);
        if (fitting.empty()) {
            const std::string there = sources::list_platforms(usable);
            throw Error(Code::not_found,
                        "conveyor failed to get: no image for " + wanted.text() + " in " + where +
                            (there.empty() ? "; the index names no platform" : "; there is " + there),
                        there.empty() ? "" : "Choose another architecture with --arch.");
        }
        const Descriptor chosen = *fitting[0];
        found = repository.manifest(chosen, host);
    }
}

}  // namespace registry
