// Makes a directory out of contents and a tree. Contents go into a staging folder inside the directory; `finish`
// makes the tree and moves them to their places. Nobody else may use the directory meanwhile.
//
// As root everything is as in the tree. As an ordinary user owners stay the user's, and devices and attributes that
// only root may set are left out, with one warning for each kind that says how many.
#pragma once
#include <singularity/format.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "sandbox/file.hpp"

namespace sandbox {

// What could not be made, for the warnings and the tests.
struct Skipped {
    uint64_t devices = 0, owners = 0, xattrs = 0;
};

class DirectoryWriter final : public singularity::Writer {
public:
    explicit DirectoryWriter(const singularity::CreateSpec& spec);  // throws when the directory is missing

    uint64_t content(const char* hint, uint64_t size, singularity::Stream& data,
                     const singularity::Host& host) override;
    void finish(const singularity::ForeignRoot& tree, const singularity::Host& host) override;
    const Skipped& skipped() const { return skipped_; }

private:
    using Tree = singularity::ForeignRoot;
    struct Entry {
        std::string name;
        uint64_t node;
    };
    // A directory that is being filled.
    struct Level {
        uint64_t node;
        std::string name;
        Fd fd;  // closed far above the present one
        std::vector<Entry> entries;
        size_t next = 0;
    };
    // A name to be made, with all that is known of it.
    struct Place {
        int directory;
        std::string name;
        uint64_t node;
        sg_attr attr;
    };

    void count_references(const Tree& tree, const singularity::Host& host);
    void choose_staging_name(const Tree& tree);
    void make_tree(const Tree& tree, const singularity::Host& host);
    std::vector<Entry> entries_of(const Tree& tree, uint64_t directory) const;
    void make(const Tree& tree, const Place& place);
    bool make_new(const Tree& tree, const Place& place);  // false: it was skipped
    void place_content(const Place& place);
    void dress(const Tree& tree, const Place& place);
    void dress_directory(const Tree& tree, const Level& level);
    void set_xattrs(const Tree& tree, uint64_t node, const std::string& path);
    void remove_staging();
    std::string shown(const std::string& name) const;
    void warn(const singularity::Host& host) const;

    std::string path_;
    std::string where_;  // the directory that is being made, from path_, for messages
    std::string staging_name_;
    Fd root_, staging_;
    std::vector<uint8_t> references_;                   // of each content: 0, 1, or 2 for more
    std::unordered_map<uint64_t, std::string> linked_;  // inode with several names -> name in staging, "" = skipped
    bool as_root_;
    Skipped skipped_;
};

}  // namespace sandbox
