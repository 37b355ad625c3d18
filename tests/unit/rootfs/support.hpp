// Small archives made in memory, a writer that records, and trees as text.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rootfs/merge.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"

namespace rootfs_test {

// Attributes of an entry; what is not set has ordinary values.
struct Attr {
    int mode = -1;  // -1: 0755 for directories, 0644 for the rest
    uint32_t uid = 0, gid = 0;
    int64_t mtime = 1000;
    std::vector<std::pair<std::string, std::string>> xattrs = {};
    uint32_t major = 0, minor = 0;
};

// A tar archive, entry by entry. Long names and extended attributes make pax headers.
class Tar {
public:
    Tar& dir(const std::string& name, const Attr& a = {}) { return add('5', name, "", "", a); }
    Tar& file(const std::string& name, std::string_view data, const Attr& a = {}) { return add('0', name, "", data, a); }
    Tar& link(const std::string& name, const std::string& target, const Attr& a = {}) { return add('2', name, target, "", a); }
    Tar& hard(const std::string& name, const std::string& target) { return add('1', name, target, "", {}); }
    Tar& fifo(const std::string& name) { return add('6', name, "", "", {}); }
    Tar& device(const std::string& name, uint32_t major, uint32_t minor) {
        Attr a;
        a.major = major, a.minor = minor;
        return add('3', name, "", "", a);
    }
    Tar& add(char type, const std::string& name, const std::string& target, std::string_view data, const Attr& a);
    // A pax record for the next entry.
    Tar& pax(const std::string& key, const std::string& value);
    // One header as it is, its data padded; `size` is what the header says.
    Tar& header(char type, const std::string& name, const std::string& target, uint64_t size, std::string_view data,
                const Attr& a = {});
    Tar& raw(std::string_view bytes) {
        bytes_ += bytes;
        return *this;
    }
    // With the two blocks at the end.
    std::string bytes() const { return bytes_ + std::string(1024, '\0'); }
    std::string without_end() const { return bytes_; }

private:
    std::string bytes_, pax_;
};

std::string checksummed(std::string header);  // fills in the sum of a 512-byte header

// Bytes as a stream; `piece`: the size of its slices, `owned`: whether they have owners.
std::unique_ptr<singularity::Stream> stream_of(std::string bytes, size_t piece = 65536, bool owned = false);
std::string all_of(singularity::Stream& s);
inline std::string all_of(std::unique_ptr<singularity::Stream> s) { return all_of(*s); }

std::string gzip(std::string_view bytes, int level = 1);
std::string zstd(std::string_view bytes);
std::string xz(std::string_view bytes);
std::string bzip2(std::string_view bytes);
std::string sha256(std::string_view bytes);

// A writer that keeps what it gets.
struct Recorder {
    struct Content {
        std::string hint, bytes;
        uint64_t size = 0, holes = 0;  // holes are bytes that are not in `bytes`
    };
    std::vector<Content> contents;
    bool keep_bytes = true;
    std::vector<uint64_t> adopted;
    bool adopts = false;
    int32_t fail_after = -1;  // contents until it answers SG_ENOSPACE
    bool closed = false;

    sg::ImageWriter writer(const sg_call* call = nullptr);
};

sg::LayerInput layer(std::string stored, std::string_view tar = {});
std::vector<sg::LayerInput> layers_of(const std::vector<Tar>& tars);

// A merged tree with the bytes of its files.
struct Merged {
    sg::Tree tree;
    Recorder recorder;
};
Merged merge(std::vector<sg::LayerInput> layers, unsigned threads = 1, const sg::MergeLimits& limits = {});
Merged merge(const std::vector<Tar>& tars, unsigned threads = 1, const sg::MergeLimits& limits = {});

// One line for each name: "a dir 0755", "a/f file DATA", "l -> target", "d chr 1:3", "p fifo"; a file of
// several names ends in " (N names)"; the root is ".". `full`: with mode, owner, time and attributes.
using Lines = std::map<std::string, std::string>;
Lines lines(Merged& m, bool full = false);
// The same without the root and without what directories have that no case is about.
Lines shape(const std::vector<Tar>& tars);
std::string text(const Lines& lines);

}  // namespace rootfs_test
