// What was found out about an image file by reading all of it, kept in the user's cache: one small file for each image
// and kind, in a directory that only the user may write to. Who reads one compares the stamp that it holds.
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "config/settings.hpp"

namespace sg::runtime {

// Device, inode, size and times of change of a file; " absent" when it is not there. Device too: who comes by another
// mount of the same file system looks again, which costs time and nothing else. Nobody can set the time of change of
// the inode.
std::string stamp_of(const struct stat& st);
std::string stamp_of(const std::string& path);

// Whether a file with these times, looked at before `now_ns` (CLOCK_REALTIME), cannot change again without another
// stamp: one that changed within the same tick of the kernel's clock can.
bool is_settled(const struct stat& st, int64_t now_ns);
int64_t real_time_ns();

std::string hash_text(
    std::string_view text);  // 16 digits, for names and quick comparison; nobody is kept from collisions

class ImageRecords {
public:
    // `kind` names the directory. Without a cache of the user's own, and for a file without a name, nothing is kept.
    ImageRecords(const Settings& settings, const char* kind, const struct stat& image);

    std::string read() const;                   // "" when there is none
    void write(const std::string& text) const;  // appears whole or not at all; that it cannot be written is no error

private:
    UniqueFd directory_;
    std::string name_;
};

}  // namespace sg::runtime
