// What %post changed, kept for the next build of the same: the tar stream of a BuildSession with the texts beside it.
//
// The key says everything that the script reads of the definition: base, script, what %files brings, who builds, version.
// What it reads of the network is not known: so each use is told, and results are used for some days only.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "build/files_copy.hpp"
#include "build/session.hpp"
#include "store/image_cache.hpp"
#include "store/output.hpp"

namespace sg {

struct KeptChanges {
    ScriptResults results;
    std::unique_ptr<singularity::Stream> tar;
    int64_t age = 0;  // seconds
};

class ChangesCache {
public:
    // `root` "" = no cache; `days` is build.reuse_days.
    ChangesCache(std::string root, std::string key, int64_t days) : cache_(std::move(root)), key_(std::move(key)), days_(days) {}

    // Nothing when there is none, or only an older one.
    std::optional<KeptChanges> find() const;
    // A stream that gives what `tar` gives and keeps it; `keep` makes it a result, once all was read. Without a place to
    // write to it only passes on.
    std::unique_ptr<singularity::Stream> keeping(std::unique_ptr<singularity::Stream> tar, const ScriptResults& results);
    void keep();

private:
    ImageCache cache_;
    std::string key_;
    int64_t days_;
    std::unique_ptr<OutputFile> file_;
};

// "3 days", "5 minutes"
std::string shown_age(int64_t seconds);

// Takes files as %files would copy them and remembers what they are: equal texts, equal files.
class FilesDigest final : public FilesTarget {
public:
    void begin(const std::string&, const std::string&) override {}
    Kind kind(const std::string& path) override;
    void directory(const std::string& path, uint32_t permissions, int64_t mtime) override;
    void file(const std::string& path, uint32_t permissions, int64_t mtime, const Bytes& bytes) override;
    void symlink(const std::string& path, const std::string& target, int64_t mtime) override;
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

}  // namespace sg
