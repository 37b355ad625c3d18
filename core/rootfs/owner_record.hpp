// What files are said to be where the kernel does not let them be it: owners, devices and attributes that a user
// without such ids gave to files of his own.
//
// A file is known by device, inode *and birth time*: inodes are used again. One thread.
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sg {

struct FileIdentity {
    uint64_t device = 0, inode = 0;
    int64_t born = 0;  // nanoseconds since 1970; 0 where the file system keeps no birth times
    bool operator==(const FileIdentity&) const = default;
};

FileIdentity identity_of(const struct statx& st);

struct RecordedFile {
    uint32_t uid = 0, gid = 0;
    // A device: the file in its place is a plain one.
    uint32_t device_type = 0;  // S_IFCHR, S_IFBLK, or 0
    uint32_t major = 0, minor = 0;
    // Extended attributes that it does not have itself.
    std::map<std::string, std::string, std::less<>> xattrs;
    bool operator==(const RecordedFile&) const = default;
};

class OwnerRecord {
public:
    // Nothing: the file is what the kernel says.
    const RecordedFile* find(const FileIdentity& file) const;
    RecordedFile& add(const FileIdentity& file) { return files_[file]; }
    void add(const OwnerRecord& other) {
        for (const auto& [file, what] : other.files_) files_.insert_or_assign(file, what);
    }
    size_t size() const { return files_.size(); }

    // All of it as bytes, in this machine's order: for another process of the same program.
    std::string text() const;
    // Throws Code::corrupt.
    static OwnerRecord parse(std::string_view text);

private:
    struct Hash {
        size_t operator()(const FileIdentity& f) const noexcept {
            return static_cast<size_t>((f.inode * 0x9e3779b97f4a7c15ull) ^ (f.device << 17) ^
                                       static_cast<uint64_t>(f.born));
        }
    };
    std::unordered_map<FileIdentity, RecordedFile, Hash> files_;
};

}  // namespace sg
