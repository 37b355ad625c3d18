// The files of this machine that a definition copies, as the archive that a builder takes:
// a gzip-compressed tar with paths relative to "/".
#pragma once
#include <cstdint>
#include <singularity/host.hpp>
#include <string>
#include <vector>

namespace remote_build {

using singularity::Code;
using singularity::Error;
using singularity::Host;

struct ContextLimits {
    uint64_t bytes = uint64_t{4} << 30;  // of contents
    uint64_t entries = 1'000'000;
};

// An archive in an unnamed file.
class Context {
public:
    Context(int fd, uint64_t size, std::string digest) : fd_(fd), size_(size), digest_(std::move(digest)) {}
    Context(Context&& o) noexcept : fd_(std::exchange(o.fd_, -1)), size_(o.size_), digest_(std::move(o.digest_)) {}
    Context& operator=(Context&&) = delete;
    ~Context();

    uint64_t size() const { return size_; }
    const std::string& digest() const { return digest_; }  // "sha256.HEX"
    std::unique_ptr<singularity::Stream> stream() const;   // from its start; this must outlive it

private:
    int fd_;
    uint64_t size_;
    std::string digest_;
};

// `files` as %files names them: * ? and [ ] match several, relative ones begin at `directory`. A symbolic link that is named,
// or on the way to what is, is kept and its target goes along; links inside of directories are kept alone, so that nothing
// leaves this machine that nobody named. The same files make the same bytes. Throws not_found, permission, limit, io,
// cancelled.
Context pack_context(const std::vector<std::string>& files, const std::string& directory, const Host& host, const ContextLimits& limits = {});

}  // namespace remote_build
