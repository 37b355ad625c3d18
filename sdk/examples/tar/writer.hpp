// Writes a root file system as a tarball. A tarball has a file's name before its data, and the host gives the data
// first: they wait in an unnamed temporary file until the tree is known.
#pragma once
#include <map>
#include <singularity/format.hpp>

#include "archive.hpp"

namespace tarball {

class TarWriter final : public singularity::Writer {
public:
    // `fd` stays the host's.
    TarWriter(int fd, const singularity::Host& host) : fd_(fd), contents_(host.temporary_file()) {}
    ~TarWriter() override;

    // Labels, environment and scripts lie in the root file system as well: nothing is lost.
    void part(std::string_view, std::string_view, std::string_view) override {}
    uint64_t content(const char* hint, uint64_t size, singularity::Stream& data,
                     const singularity::Host& host) override;
    void finish(const singularity::ForeignRoot& tree, const singularity::Host& host) override;

private:
    struct Content {
        uint64_t offset, size;
    };

    void write(archive* to, const singularity::ForeignRoot& tree, uint64_t node, const std::string& name,
               const singularity::Host& host);
    void copy(archive* to, const Content& content, const singularity::Host& host);

    int fd_, contents_;
    std::vector<Content> known_;  // by the id that `content` gave
    uint64_t contents_size_ = 0;
    std::map<uint64_t, std::string> first_names_;  // of files with several names, by inode
};

}  // namespace tarball
