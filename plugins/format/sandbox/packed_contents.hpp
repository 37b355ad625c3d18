// The bytes of many small files, one behind another in a file without a name: making 200,000 files in one folder only
// to move them takes longer than making them where they belong, by several threads.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sandbox/file.hpp"

namespace sandbox {

class PackedContents {
public:
    static constexpr uint64_t largest = uint64_t{64} << 10;  // bytes of one file
    // All together: they take room on the disk beside the files that come of them.
    static constexpr uint64_t most = uint64_t{1} << 30;

    // The file is made in the open `directory`; `path` is for messages.
    PackedContents(int directory, std::string path);

    bool has_room(uint64_t size) const { return size <= largest && size <= most - size_; }
    // Takes a file for which there is room; gives its place. One thread.
    uint64_t add(std::span<const uint8_t> bytes);
    // All that was added can be read now.
    void flush();
    // `bytes.size()` bytes from `place` on. Any thread, after flush().
    void read(uint64_t place, std::span<uint8_t> bytes) const;

private:
    const std::string path_;
    Fd file_;
    uint64_t size_ = 0;
    std::vector<uint8_t> held_;  // the last of them, not written yet
};

}  // namespace sandbox
