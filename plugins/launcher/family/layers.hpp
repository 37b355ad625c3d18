// What lies over the image's root (running.md, "Keeping changes"): overlays in their order, a writable one on top
// wherever it was given, missing mount points just above the image. By the kernel's overlay, else by fuse-overlayfs.
//
// Order: the constructor and prepare() outside, mount() and lay() while the root is built. One thread.
#pragma once
#include <singularity/launcher.h>

#include <memory>
#include <string>
#include <vector>

#include "family/image_mount.hpp"
#include "family/programs.hpp"
#include "family/spec.hpp"

namespace launcher {

class Layers {
public:
    Layers(const Spec& spec, const sg_launch& launch);
    void prepare();
    // Mounts each image below the session's directory. Names in it are ours: they need no escaping.
    void mount(const std::string& session, int session_fd);

    bool any() const { return !lowers_.empty() || !upper_.empty(); }  // of overlays, after mount()
    bool writable() const { return !upper_.empty(); }
    // Without a writable overlay: memory of the session takes what is written.
    void write_to_memory(int session_fd, mode_t root_mode);
    // The tree of "SESSION/root" below "SESSION/lower" (when `made`) below the overlays, on "SESSION/final". False: the system can
    // do neither, and nothing of that is needed but mount points; throws when somebody asked for it.
    bool lay(const std::string& session, bool made);
    // Where the image number `index` of the LaunchSpec is mounted; "" for the root.
    std::string place_of(size_t index) const;
    Programs* programs() { return programs_.get(); }

private:
    struct Part {
        size_t index;
        ImageMount mount;
        std::string place;  // in the session
    };
    bool lay_by_kernel(const std::string& session, const std::string& lowers, std::string& why) const;
    void lay_by_program(const std::string& session, const std::string& lowers, const std::string& why);

    const Spec& spec_;
    std::vector<Part> parts_;
    std::unique_ptr<Programs> programs_;
    bool need_programs_ = false;
    bool written_by_program_ = false;  // an overlay that fuse-overlayfs may have written
    std::string session_;
    std::vector<std::string> lowers_;  // top first, relative to the session
    std::string upper_, work_;
};

}  // namespace launcher
