// Makes the names of a tree in a directory, several directories at a time (file systems lock by directory, so the files
// of one directory are made by one thread). Directories get their attributes last, those below before those above: a
// mode may forbid their owner to enter.
//
// As root everything is as in the tree. As an ordinary user owners stay the user's, and devices and attributes that
// only root may set are left out and counted.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <singularity/format.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "sandbox/file.hpp"
#include "sandbox/packed_contents.hpp"

namespace sandbox {

// What could not be made, for the warnings and the tests.
struct Skipped {
    uint64_t devices = 0, owners = 0, xattrs = 0;
};

// One file's bytes: in the staging folder under its number, packed, or still in a reader.
struct Content {
    uint8_t references = 0;  // 0, 1, or 2 for more
    std::optional<singularity::ForeignRoot> from;
    uint64_t node = 0, size = 0;
    std::optional<uint64_t> packed = {};  // its place there
};

class TreeMaker {
public:
    using Tree = singularity::ForeignRoot;
    struct Place {
        Tree tree;
        const std::vector<Content>& contents;
        const std::string& path;  // of the directory, for messages
        int root, staging;        // open directories
        bool as_root;
        const PackedContents* packed = nullptr;  // null: there are none
    };

    TreeMaker(const Place& place, const singularity::Host& host) : p_(place), host_(host) {}

    // All but the attributes of directories. Throws the first error of any thread.
    void make(unsigned threads);
    // Those, when nothing else is made in them any more.
    void dress_directories();
    const Skipped& skipped() const { return skipped_; }

private:
    struct Directory {
        uint64_t node;
        std::string path;  // from the root, "" = the root
    };
    // A name to be made, with all that is known of it.
    struct Entry {
        int directory;
        const std::string& above;  // path of the directory
        std::string name;
        uint64_t node;
        sg_attr attr;
    };
    using Counts = Skipped;

    void work();
    void fill(const Directory& directory, Counts& counts);
    void make_entry(const Entry& entry, Counts& counts);
    enum class Made { skipped, bare, dressed };  // dressed: with its attributes
    Made make_new(const Entry& entry, Counts& counts);
    Made make_file(const Entry& entry, Counts& counts);
    bool make_whole(const Entry& entry, Counts& counts);  // false: it was skipped
    void write_packed(const Entry& entry, const Content& content, int file) const;
    void write_from_reader(const Entry& entry, const Content& content, int file);
    void dress(const Entry& entry, Counts& counts);
    void dress_open(int fd, uint64_t node, const sg_attr& attr, const std::string& path, Counts& counts);
    void set_xattrs(uint64_t node, const std::string& path, Counts& counts);
    std::string shown(const std::string& above, const std::string& name) const;

    const Place p_;
    const singularity::Host& host_;
    std::mutex mutex_;
    std::condition_variable change_;
    std::vector<Directory> todo_;  // under mutex_, as are the next five
    std::vector<Directory> made_;  // those above before those below
    unsigned busy_ = 0;
    std::exception_ptr failure_;
    Skipped skipped_;
    std::mutex links_mutex_;
    std::unordered_map<uint64_t, std::string> linked_;  // inode with several names -> name in staging, "" = skipped
};

}  // namespace sandbox
