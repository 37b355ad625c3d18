// The archive that `docker save` writes: which of its images a reference means (containers/image,
// docker/internal/tarfile), whatever way its members are reached.
#pragma once
#include <singularity/bootstrap.hpp>

#include "family/files.hpp"
#include "family/platform.hpp"

namespace sources {

// Read access to the members of an archive, links among them followed.
class MemberSource {
public:
    virtual ~MemberSource() = default;
    virtual const std::string& where() const = 0;                          // the archive's path, for messages
    virtual std::optional<uint64_t> size_of(const std::string& name) = 0;  // nullopt: no such file
    virtual std::string read(const std::string& name, uint64_t limit) = 0;
};

struct ArchivedLayer {
    std::string member;      // clean name
    std::string media_type;  // as LayerSources says, or "": the first bytes tell
    std::string digest;      // when the member's name is one, else ""
    std::string diff_id;
    uint64_t size = 0;
};

struct ArchivedImage {
    std::string config;
    Digest config_digest;  // computed
    ConfigFacts facts;
    std::vector<ArchivedLayer> layers;  // base first
    std::string tag;                    // "lab/lolcow:latest" as the archive has it, or ""
    std::vector<std::string> warnings;
};

// `ref` is "", "@N" or NAME[:TAG]. Throws Code::invalid (several images and no ref), not_found, corrupt, unsupported.
ArchivedImage choose_archived_image(MemberSource& source, const std::string& ref, const Wanted& wanted);

// The layer as the host wants it described. Throws Code::not_found.
singularity::Blob describe_layer(const ArchivedImage& image, uint64_t index);

}  // namespace sources
