// A file system in a file, or in a part of an image, that keeps what containers write (Apptainer's user guide,
// "Persistent Overlays"): ext3 with the directories upper/ and work/ at its root.
#pragma once
#include <singularity/plugin.h>

#include <cstdint>
#include <string>
#include <vector>

#include "plugin/host.hpp"

namespace sg::build {

struct OverlayFile {
    std::string path;  // a new file, or an image whose format takes parts
    int64_t mebibytes = 64;
    bool sparse = false;
    std::vector<std::string> directories;  // absolute, made in it
    bool for_root = false;  // its directories belong to root instead of the caller
};

// By the program mke2fs. Throws Code::invalid for a path that is there and takes no parts, or has an overlay or
// signatures already; Code::unsupported without mke2fs. Nothing half-made is left.
void create_overlay(const OverlayFile& what, PluginHost& plugins, const sg_call& call);

}  // namespace sg::build
