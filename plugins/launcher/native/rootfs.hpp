// The container's root file system: from the image to the process' new "/".
//
// Order: prepare() before the mount namespace, build() in it, enter() last. After enter() nothing of
// the host's tree can be reached. One thread.
#pragma once
#include <singularity/host.h>
#include <singularity/launcher.h>

#include <optional>

#include "loop.hpp"
#include "mounts.hpp"
#include "spec.hpp"

namespace native {

class Rootfs {
public:
    Rootfs(const Spec& spec, const sg_launch& launch) : spec_(spec), launch_(launch) {}

    // Opens what must be opened outside: the loop device, or the host's FUSE server.
    void prepare();
    void build();
    void enter();

private:
    const Image& image() const { return spec_.images[0]; }
    bool has_reader() const;
    void prepare_server();
    void mount_image();
    bool mount_with_kernel(const std::string& target);
    void serve_in_old_namespace(const std::string& target);
    std::vector<const Mount*> absent(int root) const;
    void lay_over(const std::vector<const Mount*>& absent);
    void make_place(int lower, int root, const Mount& mount);
    void apply(const Mount& mount);
    bool apply_at(const Mount& mount, int target, std::string& warning);
    std::string staged(const Mount& mount);
    std::string generated(const Mount& mount, int root);

    const Spec& spec_;
    const sg_launch& launch_;
    Session session_;
    std::string root_path_;  // where the finished tree lies: SESSION/root or SESSION/final
    Fd root_;
    std::optional<LoopDevice> loop_;
    void* server_ = nullptr;
    Fd old_namespace_;
    unsigned counter_ = 0;
};

}  // namespace native
