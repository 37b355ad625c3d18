// Makes a directory out of contents and a tree. Contents wait inside the directory, small ones packed
// (packed_contents.hpp), others as files of a staging folder; `finish` makes the tree (tree_maker.hpp) with small ones
// written and others moved to their places. Nobody else may use the directory meanwhile. What could not be made is told
// with one warning for each kind that says how many.
#pragma once
#include <optional>
#include <singularity/format.hpp>
#include <string>
#include <vector>

#include "sandbox/file.hpp"
#include "sandbox/packed_contents.hpp"
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
    uint64_t small_content(uint64_t size, singularity::Stream& data, const singularity::Host& host,
                           const std::string& path);
    void count_references(const Tree& tree, const singularity::Host& host);
    void choose_staging_name(const Tree& tree);
    void remove_staging();
    void warn(const singularity::Host& host) const;

    std::string path_;
    std::string staging_name_;
    Fd root_, staging_;
    std::optional<PackedContents> packed_;
    std::vector<uint8_t> small_;  // the file that comes in
    std::vector<Content> contents_;
    bool as_root_;
    Skipped skipped_;
};

}  // namespace sandbox
