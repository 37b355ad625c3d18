// A file of the cache while it is being written: it has no name until it is whole.
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace sg {

// One thread at a time. Without `place` nothing is left of it; a process that is killed leaves nothing where the file
// system has unnamed files (O_TMPFILE), elsewhere a file in ROOT/tmp that says whose it is (see remove_left_over).
class NewFile {
public:
    // `root` is the cache's root, which must be there. Throws permission, no_space, invalid.
    explicit NewFile(const std::string& root);
    NewFile(NewFile&&) noexcept = default;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile();

    int fd() const { return fd_.get(); }
    const std::string& shown() const { return directory_; }  // for messages
    void append(std::string_view bytes);
    void append(const singularity::Slice& slice);  // a hole becomes one
    uint64_t size() const { return size_; }
    // Gives the file the name `path` in one step, whatever had it before (a directory that stands in the way is
    // removed); with `sync` its bytes are on the disk then. The parent must be there. The descriptor stays open.
    void place(const std::string& path, bool sync = true);

private:
    std::string directory_;
    std::string name_;  // "" while it has none
    UniqueFd fd_;
    uint64_t size_ = 0;
};

// Small and whole: NewFile in one call.
void write_cache_file(const std::string& root, const std::string& path, std::string_view bytes);

// Removes temporaries in ROOT/tmp whose process is dead, and those of other hosts that nobody touched for a day.
void remove_left_over(const std::string& root);

}  // namespace sg
