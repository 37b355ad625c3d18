// What follows library: (README.md has the forms).
#pragma once
#include <string>
#include <vector>

namespace library {

struct LibraryReference {
    std::string host;               // "HOST[:PORT]", or "" for the Library in use
    std::vector<std::string> path;  // 1 to 3 parts, the container last
    std::vector<std::string> tags;  // at least one: "latest", "sha256.HEX64"

    // [HOST[:PORT]/][ENTITY/[COLLECTION/]]CONTAINER[:TAG[,TAG...]]: with one or three parts there is no host, else the
    // first part is it. Throws Code::invalid.
    static LibraryReference parse(const std::string& text);

    std::string container() const;        // "ENTITY/COLLECTION/NAME", as much of it as was given
    std::string file_name() const;        // "NAME_TAG.sif"
    const std::string& only_tag() const;  // throws Code::usage when there are several
    std::string image() const { return container() + ":" + only_tag(); }
    // For pushing and deleting: all three parts. Throws Code::usage.
    void need_whole(const char* what) const;
};

// "sha256." and 64 hex digits.
bool is_hash(const std::string& text);

}  // namespace library
