// The config document of an image: what it runs, as whom, and which layers it is made of
// (OCI image-spec, config.md; Docker's older forms).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sg {

struct ImageConfig {
    // Values are as stored; lists are empty when absent.
    std::vector<std::string> env;  // "NAME=value"
    std::vector<std::string> entrypoint, cmd;
    bool has_entrypoint = false, has_cmd = false;             // false: absent or null; an empty list counts as there
    std::vector<std::pair<std::string, std::string>> labels;  // sorted by name, each once
    std::string user, workdir;
    std::string architecture, os, variant;  // Go's names; "" when not said
    std::string created;                    // RFC 3339 text, "" when not said (see image/time.hpp)
    std::vector<std::string> diff_ids;      // "sha256:HEX" of the uncompressed layers, base first; checked digests
    std::string config;                     // the member "config" as compact JSON, "{}" when absent
};

// Limits: 4 MiB, 64 levels. Entrypoint and Cmd may be a string (very old images: one word). Throws Code::invalid,
// corrupt or limit with the place; `where` names the document in the message.
ImageConfig parse_image_config(std::string_view json, std::string_view where = "the image's config");

}  // namespace sg
