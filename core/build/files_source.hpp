// Where `%files` come from: the host, or the root file system of an earlier stage.
#pragma once
#include <singularity/format.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sg {

class FilesSource {
public:
    struct Entry {
        uint32_t mode = 0;  // type and permissions
        uint64_t size = 0;
        int64_t mtime = 0;
        uint32_t major = 0, minor = 0;
        uint32_t uid = 0, gid = 0, nlink = 1;
        std::pair<uint64_t, uint64_t> identity;  // equal for one file or directory reached on two ways
    };
    virtual ~FilesSource() = default;

    // What stands at `path`, its last component followed when `follow`; nothing when there is none.
    virtual std::optional<Entry> look(const std::string& path, bool follow) const = 0;
    virtual std::vector<std::string> names(const std::string& directory) const = 0;  // sorted
    virtual std::string link_target(const std::string& path) const = 0;
    virtual std::unique_ptr<singularity::Stream> open(const std::string& path) const = 0;  // links are followed
    // The file in a reader that a writer may adopt it from.
    virtual std::optional<std::pair<singularity::ForeignRoot, uint64_t>> stored(const std::string&) const { return std::nullopt; }
    virtual std::string shown(const std::string& path) const = 0;  // in messages
};

// Relative paths start at `directory`.
std::unique_ptr<FilesSource> host_files(std::string directory);
// `root` must outlive it; links stay inside of it. `stage` is its name.
std::unique_ptr<FilesSource> stage_files(const singularity::ForeignRoot& root, std::string stage);

// The paths that a pattern with * ? [] matches, sorted; the pattern itself when it has none of these. Empty: no match.
std::vector<std::string> expand_pattern(const FilesSource& source, const std::string& pattern);

}  // namespace sg
