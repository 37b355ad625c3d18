// What follows docker-daemon: (containers/image, docker/daemon/daemon_transport.go).
#pragma once
#include <string>

namespace docker_daemon {

struct EngineReference {
    std::string name;       // what the engine is asked for: "lolcow:latest", "lolcow@sha256:HEX", "sha256:HEX" (an image id)
    bool is_id = false;
    std::string file_name;  // "lolcow_latest.sif"; for an id alone "image_latest.sif"
};

// Throws Code::invalid, for a name without tag and digest too.
EngineReference parse_engine_reference(const std::string& text);

// The default file name for an image that has that name in the engine ("lab/lolcow:latest").
std::string file_name_of(const std::string& name);

}  // namespace docker_daemon
