// Names of images in Docker's world (github.com/distribution/reference, grammar in reference.go).
#pragma once
#include <string>
#include <string_view>

namespace sources {

// reference = name [":" tag] ["@" digest], in full: "lolcow" is docker.io/library/lolcow.
struct ImageReference {
    std::string domain;  // "docker.io", "registry:5000"
    std::string path;    // "library/lolcow"
    std::string tag;     // "" when none was given
    std::string digest;  // "sha256:HEX" or ""

    std::string name() const { return domain + "/" + path; }
    // With the tag, "latest" when neither tag nor digest was given; the digest decides over a tag.
    std::string text() const;
};

// Throws Code::invalid with what is wrong ("repository name must be lowercase").
ImageReference parse_image_reference(std::string_view text);

}  // namespace sources
