// library:// references of targets and of what a builder made (the help page of `library` has the forms).
#pragma once
#include <singularity/error.hpp>
#include <string>
#include <string_view>

namespace remote_build {

using singularity::Code;
using singularity::Error;

struct LibraryRef {
    std::string host;                      // "" = not named
    std::string entity, collection, name;  // entity and collection may be "" in what a builder names
    std::string tags = "latest";           // "v1,latest"

    std::string path() const;               // "E/C/N"
    std::string text() const;               // "library://E/C/N:TAGS", without host
    std::string first_tag() const { return tags.substr(0, tags.find(',')); }
};

bool is_library(std::string_view target);
// With or without "library:"; throws Code::invalid for what is none: everything of it is safe in an address.
LibraryRef parse_library_ref(const std::string& text);

}  // namespace remote_build
