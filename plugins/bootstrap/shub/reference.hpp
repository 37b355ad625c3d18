// What follows shub: (apptainer, internal/pkg/client/shub/types.go).
#pragma once
#include <string>

namespace shub {

struct HubReference {
    std::string registry;  // "singularity-hub.org", "hub.example.org:8443/path"
    std::string user, container;
    std::string tag;     // "latest" when neither tag nor digest was given
    std::string digest;  // 32 digits (MD5 of the file) or 40 (commit), or ""

    std::string name() const;       // "USER/CONTAINER:TAG@DIGEST", as the interface wants it
    std::string file_name() const;  // "CONTAINER_TAG.sif"
    // A server of this machine, which may be asked by http.
    bool is_local() const;
};

// Throws Code::invalid.
HubReference parse_hub_reference(const std::string& text);

}  // namespace shub
