// Sending blobs and manifests to a registry (distribution-spec, "Push").
#pragma once
#include "family/hash.hpp"
#include "registry/client.hpp"

namespace registry {

// Bytes to be sent, which can be read again from any place.
struct Outgoing {
    sources::Digest digest;
    uint64_t size = 0;
    // `count` bytes from `offset` on, as a stream.
    std::function<std::unique_ptr<Stream>(uint64_t offset, uint64_t count)> open;
    std::string label;  // of its progress bar
};

class Uploader {
public:
    // `chunk`: bytes in one request; larger blobs are sent in several, so that a break costs no more than one.
    Uploader(Client& client, uint64_t chunk) : client_(client), chunk_(chunk) {}

    enum class Outcome { present, mounted, sent };
    // Makes sure that the repository has the blob: it has it, another repository of the registry (of `elsewhere`) has
    // it, or it is sent. Throws; an upload that was begun is then taken back.
    Outcome blob(const Outgoing& blob, const std::vector<std::string>& elsewhere, const Host& host);
    // Puts the manifest under a tag or digest.
    void manifest(const std::string& reference, const std::string& bytes, const std::string& type, const Host& host);

private:
    struct Session {
        Url location;
        uint64_t chunk_min = 0;
    };
    bool present(const Outgoing& blob, const Host& host);
    std::optional<Session> begin(const std::string& query, const std::string& what, const Host& host);
    void send_whole(const Outgoing& blob, Session& session, const Host& host, const std::function<void(uint64_t)>& moved);
    void send_chunks(const Outgoing& blob, Session& session, const Host& host, const std::function<void(uint64_t)>& moved);
    void finish(const Outgoing& blob, Session& session, const Host& host);
    uint64_t received(Session& session, const Host& host);
    void take_back(const Session& session) noexcept;
    void moved_to(Session& session, const Answer& answer) const;

    Client& client_;
    uint64_t chunk_;
};

}  // namespace registry
