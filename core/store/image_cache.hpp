// Finished images by key: CACHE/AREA/HASH/NAME (docs/user/images.md, "The cache").
//
// Entries appear by rename and are never changed. Each has a stamp beside it (size, mtime, inode) made
// when it was stored; an entry whose stamp does not fit is not used, but made again. Any number of
// processes may use one cache at once.
#pragma once
#include <optional>
#include <string>

namespace sg {

class ImageCache {
public:
    // `root` is the cache root ("" = nothing can be stored); `shared` a site's, which is only read. Nothing is made
    // before the first entry.
    explicit ImageCache(std::string root, std::string shared = {})
        : root_(std::move(root)), shared_(std::move(shared)) {}
    bool enabled() const { return !root_.empty(); }

    // Path of the entry, when it is there and as it was stored.
    std::optional<std::string> find(const std::string& area, const std::string& key, const std::string& name) const;
    // Whether the user's own cache has a file of that name, whatever its state.
    bool present(const std::string& area, const std::string& key, const std::string& name) const;
    // Where a new entry goes; makes its directories (0700). Write it through OutputFile, then call `stored`.
    std::string place(const std::string& area, const std::string& key, const std::string& name) const;
    // `note` is kept beside it, for whoever made it. `sync` as OutputFile::commit.
    void stored(const std::string& path, const std::string& note = {}, bool sync = true) const;
    // What was said of an entry when it was stored; "" when it is not as it was.
    std::string note_of(const std::string& path) const;
    // Whether an entry is as it was stored.
    bool as_stored(const std::string& path) const;

private:
    std::optional<std::string> find_in(const std::string& root, const std::string& area, const std::string& key,
                                       const std::string& name, bool same_inode) const;

    std::string root_, shared_;
};

}  // namespace sg
