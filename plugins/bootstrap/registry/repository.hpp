// The images of one repository, on whichever of its servers answers.
#pragma once
#include <memory>
#include <vector>

#include "family/manifest.hpp"
#include "family/platform.hpp"
#include "registry/client.hpp"

namespace registry {

using sources::Descriptor;
using sources::Digest;

struct FoundManifest {
    std::string bytes;       // as received
    std::string media_type;  // as the server declared it, "" when it did not
    Digest digest;           // of the bytes, verified where one is known
};

// Opened once; after that any thread. The server that answers first is kept; for what it lacks those after it are asked.
class Repository {
public:
    // What to read there: a tag or digest of `reference`.
    Repository(sources::ImageReference reference, std::vector<Endpoint> endpoints, std::shared_ptr<Accounts> accounts,
               Clock& clock = real_clock());

    const sources::ImageReference& reference() const { return reference_; }
    // "docker.io/library/lolcow", for messages.
    std::string name() const { return reference_.name(); }

    // The digest of the manifest or index: none requested when it was named, else one HEAD (a GET where servers tell no
    // digest). Throws in Singularity's words: "conveyor failed to get: Error reading manifest TAG in NAME: ...".
    Digest digest(const Host& host);
    // The manifest or index itself; of the bytes that `digest` told, when that was asked before.
    FoundManifest manifest(const Host& host);
    // One that an index lists.
    FoundManifest manifest(const Descriptor& descriptor, const Host& host);

    // A small blob, verified; more than `limit` bytes is Code::limit.
    std::string read_config(const Descriptor& descriptor, uint64_t limit, const Host& host);
    // A blob as a stream from byte `offset` on. Foreign layers come from their own URLs when the registry has them not.
    std::unique_ptr<Stream> blob(const Descriptor& descriptor, const Host& host, uint64_t offset = 0);

private:
    Client& client();
    size_t chosen();
    std::string subject() const;  // the digest or tag
    template <class F>
    auto on_first(F&& ask, const Host& host);
    template <class F>
    auto on_chosen(F&& ask, const Host& host, size_t passed = 0);
    FoundManifest get(Client& client, const std::string& which, const std::optional<Digest>& expected, const Host& host);
    Answer request_blob(const Descriptor& descriptor, uint64_t offset, const Host& host, size_t passed = 0);
    Answer request_blob(Client& client, const Descriptor& descriptor, uint64_t offset, const Host& host);
    Answer request_foreign(const Descriptor& descriptor, uint64_t offset, const Host& host);

    sources::ImageReference reference_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::mutex mutex_;
    std::optional<size_t> chosen_;  // of clients_
    std::optional<Digest> digest_;
    std::optional<FoundManifest> kept_;  // that `digest` had to fetch
};

// The platform's image out of what a repository answers: indexes are followed, at most four deep.
struct PlatformImage {
    FoundManifest found;
    sources::ImageManifest manifest;
};
PlatformImage choose_platform(Repository& repository, const sources::Wanted& wanted, const Host& host);

}  // namespace registry
