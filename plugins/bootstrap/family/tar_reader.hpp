// The headers of a tar archive that holds an image: names, types, sizes (POSIX ustar and pax, GNU, v7). The layers
// inside it are read by the host; this reader only finds them.
//
// Hostile input: names that are absolute or climb (`..`) are refused, as are sparse members, pax blocks over 1 MiB,
// names over 4096 bytes and more than 1,000,000 entries.
#pragma once
#include <cstdint>
#include <singularity/error.hpp>
#include <span>
#include <string>

namespace sources {

using singularity::Code;
using singularity::Error;

enum class TarType { file, directory, symlink, hardlink, other };

struct TarEntry {
    std::string name;  // cleaned: no "./", no doubled or trailing '/'; "" for the archive's own root
    TarType type = TarType::other;
    std::string link;   // target of a link, as stored
    uint64_t size = 0;  // bytes of data that follow (regular files)
};

// Where the bytes come from; positions count from the first byte of the archive.
class TarInput {
public:
    virtual ~TarInput() = default;
    // Up to `size` bytes; fewer only at the end.
    virtual uint64_t read(char* to, uint64_t size) = 0;
    // Passes over bytes; returns how many there were (fewer only at the end).
    virtual uint64_t skip(uint64_t size) = 0;
    virtual uint64_t position() const = 0;
};

class TarReader {
public:
    // `where` names the archive in messages.
    TarReader(TarInput& input, std::string where) : input_(input), where_(std::move(where)) {}

    // Goes to the next entry; false at the end of the archive. Data of the entry before that was not consumed is
    // passed over. Throws Code::corrupt (damaged, truncated), invalid (a name) or limit.
    bool next(TarEntry& entry);
    // Bytes of the present entry's data that have not been consumed; its data begins at input.position().
    uint64_t left() const { return left_; }
    // Says that `size` bytes of data were taken from the input by the caller.
    void consumed(uint64_t size) { left_ -= size; }

    [[noreturn]] void truncated(const std::string& name) const;

private:
    bool header(char* block);
    std::string long_text(uint64_t size, uint64_t limit);
    void pass_over_rest();

    TarInput& input_;
    std::string where_, name_;
    uint64_t left_ = 0, padding_ = 0, entries_ = 0;
    bool first_ = true;
};

// The name without "./" and doubled or trailing '/'. Throws Code::invalid when it is absolute or climbs.
std::string clean_member_name(std::string_view name, std::string_view where);

// Where a link of member `name` leads inside the archive: relative to the member's directory (symbolic) or to the
// root (hard). "" when it leads out of the archive.
std::string resolve_member_link(std::string_view name, std::string_view target, bool symbolic);

}  // namespace sources
