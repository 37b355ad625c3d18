// The container's root file system: from the image to the process' new "/".
//
// Order: prepare() before the mount namespace, build() in it, enter() last. After enter() nothing of
// the host's tree can be reached. One thread.
#pragma once
#include <singularity/host.h>
#include <singularity/launcher.h>

#include <optional>

#include "family/container_programs.hpp"
#include "family/layers.hpp"
#include "family/loop.hpp"
#include "family/mounts.hpp"
#include "family/spec.hpp"

namespace launcher {

class Rootfs {
public:
    Rootfs(const Spec& spec, const sg_launch& launch) : spec_(spec), launch_(launch), layers_(spec, launch) {}

    // Enters the user namespace of the spec, where it wants one, and opens what must be opened outside of the mount namespace: the
    // loop device, or the host's FUSE server; for the layers too. An image that a user's containers share is joined, and with it its
    // user namespace (with that of the spec below, if that has other numbers); `lives` is the process that lives as long as the container.
    void prepare(pid_t lives);
    // For a process that is going to enter a control group: the server that others share is made before, outside of its limits.
    void start_shared_server();
    void build();
    void enter();
    // In place of enter(), for a program that makes this tree the container's root by itself: its path. May be bound.
    const std::string& hand_over();
    int root() const { return root_.get(); }              // after build()
    const Session& session() const { return session_; }  // after build()
    std::vector<ContainerProgram>& container_programs() { return container_programs_; }
    // Those of --fusemount that run in the container, after enter().
    void start_container_programs() { launcher::start_container_programs(std::move(container_programs_)); }

private:
    bool join(pid_t lives);
    const Image& image() const { return spec_.images[0]; }
    bool has_reader() const;
    template <class Use>
    void with_view(Use&& use) const;
    void prepare_server();
    void mount_image();
    bool mount_with_kernel(const std::string& target);
    void serve_in_old_namespace(const std::string& target);
    std::vector<const Mount*> absent(int root) const;
    void lay_over(const std::vector<const Mount*>& absent);
    bool make_below_mount(const Mount& mount, std::string& why);
    bool is_earlier_tmp(const Mount& mount, int target) const;
    void make_place(int lower, int root, const Mount& mount);
    void apply(const Mount& mount);
    bool apply_at(const Mount& mount, int target, std::string& warning);
    bool mount_fuse(const Mount& mount, int target);
    bool bind_of_image(const Mount& mount, int target, const Flags& flags, std::string& warning) const;
    std::string staged(const Mount& mount);
    bool mount_volume(int target, std::string& warning);
    std::string generated(const Mount& mount, int root);
    bool cover_top(const Mount& mount);

    const Spec& spec_;
    const sg_launch& launch_;
    Layers layers_;
    Session session_;
    std::string root_path_;  // where the finished tree lies: SESSION/root or SESSION/final
    Fd root_;
    std::optional<LoopDevice> loop_;
    Image served_;
    std::optional<ImageMount> by_program_;  // of served_: no kernel and no reader mounts it
    void* server_ = nullptr;
    Fd shared_;  // the image as a detached mount
    Fd old_namespace_;
    unsigned counter_ = 0;
    std::vector<ContainerProgram> container_programs_;
};

}  // namespace launcher
