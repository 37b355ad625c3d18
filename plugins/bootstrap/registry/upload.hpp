// Sending blobs and manifests to a registry (distribution-spec, "Push").
#pragma once
#include <singularity/state.hpp>

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
    // `chunk`: bytes in one request; larger blobs are sent in several, so that a break costs no more than one. How far
    // such a blob has come is kept in the name of `plugin` (singularity/state.h), so that a later process may go on
    // there; nullptr: it is not.
    Uploader(Client& client, uint64_t chunk, const char* plugin = nullptr)
        : client_(client), chunk_(chunk), plugin_(plugin) {}

    enum class Outcome { present, mounted, sent };
    // Makes sure that the repository has the blob: it has it, another repository of the registry (of `elsewhere`) has
    // it, or it is sent. Throws; an upload that was begun is then taken back, unless its place is kept and it was only
    // broken off.
    Outcome blob(const Outgoing& blob, const std::vector<std::string>& elsewhere, const Host& host);
    // Puts the manifest under a tag or digest.
    void manifest(const std::string& reference, const std::string& bytes, const std::string& type, const Host& host);

private:
    using Moved = std::function<void(uint64_t)>;
    struct Session {
        Url location;
        uint64_t chunk_min = 0;
        uint64_t at = 0;                     // bytes that the registry has
        singularity::State* kept = nullptr;  // where its place is kept
    };
    bool present(const Outgoing& blob, const Host& host);
    std::optional<Session> begin(const std::string& query, const std::string& what, const Host& host);
    std::optional<Session> broken_off(const Outgoing& blob, singularity::State& kept, const Host& host);
    void send(const Outgoing& blob, Session& session, const Host& host, const Moved& moved);
    void send_whole(const Outgoing& blob, Session& session, const Host& host, const Moved& moved);
    void send_chunks(const Outgoing& blob, Session& session, const Host& host, const Moved& moved);
    void finish(const Outgoing& blob, Session& session, const Host& host);
    bool ask_place(Session& session, uint64_t most, const Host& host);
    void take_back(const Session& session) noexcept;
    void moved_to(Session& session, const Answer& answer) const;
    void keep(const Session& session, const Host& host) const;
    std::string writing(const Outgoing& blob) const;

    Client& client_;
    uint64_t chunk_;
    const char* plugin_;
};

}  // namespace registry
