// The OCI configuration of the image (image-spec, config.md, member "config"): what Docker applies when a container
// starts.
//
// A SIF keeps it as a part of its own, "oci-config.json". Formats without parts have none.
#pragma once
#include <singularity/plugin.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oci_runtime {

struct ImageConfig {
    std::string user;                  // "name", "name:group", numbers in place of both; "" = none
    std::string working_directory;     // absolute and clean; "" = none
    std::vector<std::string> volumes;  // absolute and clean paths
    int stop_signal = 0;               // 0 = none
};

// Throws Code::corrupt, naming `path`, for what is no such configuration.
ImageConfig parse_image_config(std::string_view json, const std::string& path);
// Of the image file at `path`; all empty when there is none.
ImageConfig read_image_config(const std::string& path, const sg_call* call);

// "SIGTERM", "TERM", "RTMIN+3", "15"; 0 when it is none.
int signal_number(const std::string& text);

// Whom USER means, by the image's own files (Docker's rules): an unknown name is an error, an unknown number has group
// 0.
struct ImageUser {
    uint32_t uid = 0, gid = 0;
    std::vector<uint32_t> groups;  // further ones
    std::string home = "/";
};
ImageUser find_user(const std::string& user, std::string_view passwd, std::string_view group);

}  // namespace oci_runtime
