// An image archive: plain tar in a file, read in place; or compressed (or a pipe, or from a server), read once in its own
// order.
#pragma once
#include <singularity/bootstrap.hpp>
#include <variant>

#include "family/decompress.hpp"
#include "family/tar_index.hpp"

namespace sources {

// What a path leads to, without reading more than its first bytes.
struct OpenedArchive {
    Fd fd;
    uint64_t size = 0;
    bool plain = false;  // a regular file that is not compressed: TarIndex; else DecompressedInput
};
// Throws Code::not_found, permission, or invalid for a directory (`if_directory` is the hint then). A FIFO or another
// stream is accepted and never plain.
OpenedArchive open_archive(const std::string& path, const std::string& if_directory);
// Whether open_archive would read it in its own order, without opening a pipe (which would take its first bytes).
bool is_plain_archive(const std::string& path, const std::string& if_directory);

// The reading of a sequential archive, whatever layout it has: members that may be layers are handed out as parts, in
// the order of coming; JSON documents are kept (4 MiB each, 64 MiB in all); the rest is passed over.
class SequentialArchive : public singularity::SequentialImage {
public:
    SequentialArchive(Fd fd, const std::string& path)
        : path_(path), input_(std::move(fd), path), reader_(input_, path) {}
    SequentialArchive(std::unique_ptr<Stream> bytes, const std::string& where)
        : path_(where), input_(std::move(bytes), where), reader_(input_, where) {}

    // Key: the digest when the member is named by one ("blobs/sha256/HEX"), else its name.
    singularity::Part next_part(const Host& host) final;

protected:
    // Called once, after the last member: finds the image among what came.
    virtual void complete(const Host& host) = 0;

    const std::string& path() const { return path_; }
    // Members by clean name, links followed. Documents and parts alike have a size.
    std::optional<uint64_t> size_of(const std::string& name) const;
    const std::string* document(const std::string& name) const;
    uint64_t part_of(const std::string& name) const;  // throws Code::unsupported when the member was no part

private:
    struct Member {
        enum class Kind { link, document, part, other } kind = Kind::other;
        uint64_t size = 0, part = 0;
        std::string text;  // the document; the link's target, as a clean name
    };
    class PartStream;
    const Member* find(const std::string& name) const;
    std::string keep(const TarEntry& entry);

    std::string path_;
    DecompressedInput input_;
    TarReader reader_;
    TarEntry entry_;
    std::unordered_map<std::string, Member> members_;
    uint64_t parts_ = 0, kept_bytes_ = 0, name_bytes_ = 0;
    bool ended_ = false;
};

}  // namespace sources
