// The source "busybox": a recipe that puts one program under all its names.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "busybox/program.hpp"
#include "packages/fetched.hpp"
#include "packages/header.hpp"
#include "packages/tool.hpp"
#include "packages/written.hpp"

namespace busybox {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr uint64_t largest_program = 64 << 20;

class Recipe final : public singularity::RecipeImage {
public:
    explicit Recipe(std::string program) : program_(std::move(program)) {}

    void fill(const std::string& rootfs, const Host& host) override {
        for (const char* directory : {"/bin", "/sbin", "/usr", "/usr/bin", "/usr/sbin", "/etc", "/root", "/tmp"})
            if (::mkdir((rootfs + directory).c_str(), 0755) != 0 && errno != EEXIST) throw Error(Code::io, std::string("cannot make ") + directory + ": " + std::strerror(errno));
        ::chmod((rootfs + "/tmp").c_str(), 01777);
        packages::write(rootfs + "/bin/busybox", program_, 0755);
        packages::write(rootfs + "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        packages::write(rootfs + "/etc/group", "root:x:0:\n");
        packages::write(rootfs + "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
        // Inside of the image: nothing that was fetched runs on the machine.
        packages::must_run({"chroot", rootfs, "/bin/busybox", "--install", "/bin"}, {}, host);
    }

private:
    std::string program_;
};

// Of this machine, where it is one that needs no library.
std::string find_program() {
    for (const char* path : {"/bin/busybox", "/usr/bin/busybox", "/sbin/busybox", "/usr/sbin/busybox", "/usr/local/bin/busybox"})
        if (::access(path, X_OK) == 0) return path;
    packages::need_tool("busybox", "busybox-static");
    return "/bin/busybox";
}

}  // namespace

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        (void)packages::address(spec, "mirrorurl", "MirrorURL");
        return {"", "busybox.sif", "", spec.arch, spec.variant};
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        packages::refuse_foreign_arch(spec);
        std::string from = packages::address(spec, "mirrorurl", "MirrorURL");
        const bool own = from.empty();
        if (own) from = find_program();
        std::string program = packages::fetched(from, largest_program, own ? "busybox" : "MirrorURL", host);
        check_program(program, spec.arch, from);
        return std::make_unique<Recipe>(std::move(program));
    }
};

}  // namespace busybox

SINGULARITY_PLUGIN(busybox, busybox::Source)
