// Which of several images is meant for the wanted machine (containers/image, platform_matcher.go).
#pragma once
#include <optional>
#include <span>

#include "family/manifest.hpp"

namespace sources {

struct Wanted {
    std::string architecture;  // Go's name
    std::string variant;       // "" or "v7"
    bool is_wish = false;      // the user named it: another one is an error and not a warning
    std::string text() const { return Platform{"linux", architecture, variant}.text(); }
};

// The variants that serve, best first; "" is an entry without one.
std::vector<std::string> variants_that_serve(const Wanted& wanted);

// The entries for that machine, best first. Attestations and other operating systems never count. When no entry that
// names a platform serves, a single entry without any is given as the last resort. Empty when there is none.
std::vector<const Descriptor*> entries_for(std::span<const Descriptor> entries, const Wanted& wanted);

// "linux/amd64, linux/arm64/v8": each platform once, for messages.
std::string list_platforms(std::span<const Descriptor> entries);

// Compares what the image's config says with what is wanted: another operating system is an error, another
// architecture an error when it was asked for and otherwise the text of a warning ("" when it fits).
std::string check_platform(const Platform& image, const Wanted& wanted, const std::string& where);

}  // namespace sources
