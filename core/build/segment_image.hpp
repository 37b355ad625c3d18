// The image that segments of a cache refer to, in their words: which file it is, and how it was when they were made.
#pragma once
#include <string>

#include "base/unique_fd.hpp"

namespace sg {

struct SegmentImage {
    // Of a finished image; `root`: of the cache that the segments are in. "" when segments cannot refer to it.
    static std::string describe(const std::string& path, const std::string& root);

    // Opens what `text` describes, as long as it is as it was. An image of the same cache is trusted as the cache's
    // images are (a copy of a site's cache, `is_shared`, has other inodes); any other must be the user's own, and a
    // change of any kind since then is seen. Throws Code::not_found with the reason.
    static UniqueFd open(const std::string& text, const std::string& root, bool is_shared);

    // Whether a file that was opened so is still as it was.
    static bool is_unchanged(int fd, const std::string& text, bool is_shared);
};

}  // namespace sg
