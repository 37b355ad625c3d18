// An OCI image layout (image-spec, image-layout.md), wherever its files lie: which image a reference means, its
// manifest and its config.
#pragma once
#include "family/files.hpp"
#include "family/platform.hpp"

namespace sources {

// Read access to the files of a layout.
class BlobSource {
public:
    virtual ~BlobSource() = default;
    virtual const std::string& where() const = 0;  // the path, for messages
    // A file at the top ("index.json"); nullopt when it is not there.
    virtual std::optional<std::string> document(const std::string& name, uint64_t limit) = 0;
    virtual std::optional<uint64_t> size_of(const Digest& digest) = 0;  // nullopt: no such blob
    virtual std::string read(const Digest& digest, uint64_t limit) = 0;
};

struct ChosenImage {
    std::string bytes, media_type;  // the manifest as stored
    Digest digest;                  // of it, verified
    ImageManifest manifest;
    std::string config;  // verified
    ConfigFacts facts;   // as many diff_ids as the manifest has layers
    std::string name;    // containerd's name or ref.name of the index entry it was reached by, or ""
    std::vector<std::string> warnings;
};

// `ref` is "", "@N", "@ALG:HEX", "ALG:HEX" or a name: compared with org.opencontainers.image.ref.name, then with
// io.containerd.image.name. Throws Code::invalid (several images and no ref), not_found, corrupt, unsupported.
ChosenImage choose_image(BlobSource& source, const std::string& ref, const Wanted& wanted);

// "PATH[:REF]": the path ends at the first colon; "PATH@sha256:HEX" and "PATH@N" are understood as well, the latter
// only when no file is called that. The path comes back absolute, seen from `directory`. Throws Code::invalid.
struct PathAndRef {
    std::string path, ref;
};
PathAndRef split_path_and_ref(const std::string& reference, const std::string& directory);

}  // namespace sources
