// Makes a directory out of contents and a tree. Contents go into a staging folder inside the directory; `finish`
// makes the tree (tree_maker.hpp) and moves them to their places. Nobody else may use the directory meanwhile. What
// could not be made is told with one warning for each kind that says how many.
#pragma once
#include <singularity/format.hpp>
#include <string>
#include <vector>

#include "sandbox/file.hpp"
#include "sandbox/tree_maker.hpp"

namespace sandbox {

class DirectoryWriter final : public singularity::Writer {
public:
    explicit DirectoryWriter(const singularity::CreateSpec& spec);  // throws when the directory is missing

    uint64_t content(const char* hint, uint64_t size, singularity::Stream& data,
                     const singularity::Host& host) override;
    // Of any reader, which must be open until `finish`: its bytes are read there, by several threads.
    uint64_t adopt(const singularity::ForeignRoot& from, uint64_t node) override;
    void finish(const singularity::ForeignRoot& tree, const singularity::Host& host) override;
    const Skipped& skipped() const { return skipped_; }

private:
    using Tree = singularity::ForeignRoot;
    void count_references(const Tree& tree, const singularity::Host& host);
    void choose_staging_name(const Tree& tree);
    void remove_staging();
    void warn(const singularity::Host& host) const;

    std::string path_;
    std::string staging_name_;
    Fd root_, staging_;
    std::vector<Content> contents_;
    bool as_root_;
    Skipped skipped_;
};

}  // namespace sandbox
