// The entries of a tarball: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block", and the long names of
// old GNU tars. Nothing here knows what a root file system is.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tarball {

inline constexpr uint64_t block_size = 512;

enum class Type : char {
    file = '0',
    hard_link = '1',
    symlink = '2',
    character = '3',
    block = '4',
    directory = '5',
    fifo = '6'
};

struct Entry {
    Type type = Type::file;
    std::string name;   // as it stands in the tarball
    std::string link;   // target of a symbolic link, or name of a hard link's first name
    uint32_t mode = 0;  // permission bits
    uint32_t uid = 0, gid = 0, major = 0, minor = 0;
    int64_t mtime = 0;
    uint64_t size = 0;    // of the data that follow
    uint64_t offset = 0;  // of the data in the file; only when read
    std::vector<std::pair<std::string, std::string>> xattrs;
};

// Could these first bytes begin a tarball? They must hold its magic and the right sum of the first header.
bool begins_tarball(std::span<const uint8_t> head);

// Entries in the order of the file, their data skipped. Throws Code::corrupt, Code::unsupported (sparse files) and
// Code::limit.
class EntryReader {
public:
    EntryReader(int fd, uint64_t file_size) : fd_(fd), file_size_(file_size) {}
    std::optional<Entry> next();  // nullopt at the end

private:
    std::string data(uint64_t size);
    int fd_;
    uint64_t file_size_, at_ = 0;
};

// The header of an entry, with a pax header before it where ustar's fields are too small.
std::string encode(const Entry& entry);

}  // namespace tarball
