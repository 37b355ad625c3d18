// The parts of an archive that can be read only once, kept in one unnamed temporary file.
#pragma once
#include <singularity/stream.hpp>

#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace sg {

class Spool {
public:
    // `directory` is where the file lies (O_TMPFILE). Throws permission, no_space.
    explicit Spool(const std::string& directory);

    // Appends all of a stream; gives its number, counted from 0.
    uint64_t add(singularity::Stream& stream);
    uint64_t count() const { return parts_.size(); }
    // Reads part `number`; any thread, several at a time. Lives no longer than the spool.
    std::unique_ptr<singularity::Stream> open(uint64_t number) const;
    uint64_t size(uint64_t number) const;
    int fd() const { return fd_.get(); }

private:
    struct Range {
        uint64_t offset, size;
    };
    std::string directory_;
    UniqueFd fd_;
    uint64_t end_ = 0;
    std::vector<Range> parts_;
};

}  // namespace sg
