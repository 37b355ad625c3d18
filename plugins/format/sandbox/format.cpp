#include "sandbox/format.hpp"

#include <cstdlib>

namespace sandbox {

using singularity::Code;
using singularity::Error;

namespace {

std::string absolute_path(const std::string& path) {
    std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    if (!real) throw_errno("cannot open", path);
    return real.get();
}

}  // namespace

SandboxImage::SandboxImage(const std::string& path) : absolute_(absolute_path(path)), root_(absolute_) {}

sg_image_info SandboxImage::info() {
    sg_image_info out{};
    singularity::detail::copy_text(out.format, "sandbox");
    out.runnable = 1;
    return out;
}

sg_mount_plan SandboxImage::mount_plan() {
    sg_mount_plan out{};
    if (absolute_.size() >= sizeof out.path)
        throw Error(Code::invalid, "the path of the image is too long: " + absolute_);
    singularity::detail::copy_text(out.type, "bind");
    singularity::detail::copy_text(out.path, absolute_);
    out.writable = 1;
    return out;
}

}  // namespace sandbox
