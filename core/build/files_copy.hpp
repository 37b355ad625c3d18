// `%files` and `%appfiles`: what `cp -fLr SOURCE... DESTINATION` does, into a root file system and never out of it
// (Apptainer's user guide, "Definition Files", "%files").
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "build/files_source.hpp"
#include "definition/definition.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"

struct sg_call;

namespace sg {

// A root file system that files are put into. Paths are from its root; symbolic links of the image are followed inside of
// it, also the last one, as cp writes through a link. All belongs to root until it is given to somebody.
class FilesTarget {
public:
    enum class Kind { none, file, directory, other };
    struct Bytes {
        const FilesSource& source;
        const std::string& path;
        uint64_t size;
    };
    virtual ~FilesTarget() = default;
    virtual void begin(const std::string& from, const std::string& to);  // tells the user
    virtual Kind kind(const std::string& path) = 0;
    // Makes it, and parents that are missing (0755).
    virtual void directory(const std::string& path, uint32_t permissions, int64_t mtime) = 0;
    virtual void file(const std::string& path, uint32_t permissions, int64_t mtime, const Bytes& bytes) = 0;
    virtual void symlink(const std::string& path, const std::string& target, int64_t mtime) = 0;
    // Of what was put there last: all bits of its mode, and its owner.
    virtual void give(const std::string& path, uint32_t mode, uint32_t uid, uint32_t gid) = 0;
    // A second name of a file that was put at `first`.
    virtual void link(const std::string& path, const std::string& first) = 0;
};

// Into a tree in memory, the bytes to its writer. Both must outlive it.
std::unique_ptr<FilesTarget> tree_target(Tree& tree, ImageWriter& writer);
// Into a directory of this machine, whoever may have put links there. `root` is an open directory. Of files whose owner
// cannot be set here `unowned` is told (an O_PATH descriptor, which it may keep no longer than the call).
using Unowned = std::function<void(int fd, uint32_t uid, uint32_t gid)>;
std::unique_ptr<FilesTarget> directory_target(int root, Unowned unowned = {});

struct FilesRules {
    // As it was made (stages): below the named sources symbolic links stay links; owners, all bits of modes, and files of
    // several names in one directory that is named, are kept.
    bool as_made = false;
    std::string top;               // destinations are below this directory (apps); "" = the root
    std::optional<int64_t> clamp;  // no time is later than this
};

// Errors name the line of the definition: not_found for a source that is not there, invalid for a loop of links.
void copy_files(const definition::Text& text, const std::vector<definition::FilePair>& pairs, const FilesSource& source,
                FilesTarget& target, const FilesRules& rules, const sg_call* call);

}  // namespace sg
