// An image beside the root: an overlay, or data that is bound somewhere. By bind, loop device, the host's FUSE
// server, or a FUSE program, in this order of what it and the caller's rights allow.
#pragma once
#include <singularity/host.h>
#include <singularity/launcher.h>

#include <optional>

#include "family/loop.hpp"
#include "family/programs.hpp"
#include "family/spec.hpp"

namespace launcher {

class ImageMount {
public:
    // `reader` may be null or empty. All three outlive this.
    ImageMount(const Image& image, const sg_launch_image* reader, const Spec& spec) : image_(image), reader_(reader), spec_(spec) {}

    // Before the mount namespace: opens the device, or the server. Throws when it cannot be mounted at all.
    void prepare();
    // Mounts on the absolute directory `target`, nosuid and nodev, writable as the image says.
    void mount(const std::string& target, Programs* programs);
    const Image& image() const { return image_; }
    bool by_program() const { return needs_program(image_, spec_, has_reader()); }

    // Would it be mounted by a program? (Programs::start() must come first.)
    static bool needs_program(const Image& image, const Spec& spec, bool has_reader);

private:
    bool has_reader() const;
    void lock();
    void prepare_server();
    void mount_by_program(const std::string& target, Programs* programs);

    const Image& image_;
    const sg_launch_image* reader_;
    const Spec& spec_;
    Fd file_;  // holds the lock
    std::optional<LoopDevice> loop_;
    void* server_ = nullptr;
};

}  // namespace launcher
