// The texts of /.singularity.d that are the same in every image.
// Plain POSIX sh, tried with dash, bash and busybox.
#pragma once
#include <span>
#include <string_view>

namespace sg {

struct Script {
    std::string_view path;  // from the image's root
    std::string_view text;
};

// actions/* and env/* of every image.
std::span<const Script> standard_scripts();

// What an image has that defines none.
extern const std::string_view runscript_stub, startscript_stub;

}  // namespace sg
