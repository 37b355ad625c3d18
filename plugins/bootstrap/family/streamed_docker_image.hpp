// What "docker save" writes, in its own order: from a compressed file, a pipe, or an engine. manifest.json mostly comes
// last.
#pragma once
#include <optional>

#include "family/archive.hpp"
#include "family/docker_archive.hpp"

namespace sources {

class StreamedDockerImage final : public SequentialArchive {
public:
    // `ref` as for choose_archived_image; `where` names the archive in messages.
    StreamedDockerImage(Fd fd, const std::string& path, std::string ref, Wanted wanted)
        : SequentialArchive(std::move(fd), path), ref_(std::move(ref)), wanted_(std::move(wanted)) {}
    StreamedDockerImage(std::unique_ptr<Stream> bytes, const std::string& where, std::string ref, Wanted wanted)
        : SequentialArchive(std::move(bytes), where), ref_(std::move(ref)), wanted_(std::move(wanted)) {}

    singularity::Config config() override;
    uint64_t count() override;
    singularity::Blob describe(uint64_t index) override;
    uint64_t part(uint64_t index) override;

protected:
    void complete(const Host& host) override;

private:
    class Kept;
    const ArchivedImage& image() const;

    std::string ref_;
    Wanted wanted_;
    std::optional<ArchivedImage> image_;
};

}  // namespace sources
