// @NAME@: runs what is in a directory by chroot, as an ordinary user in a user namespace. It knows no mounts and no
// other isolation: docs/launch-spec.md has all that a LaunchSpec may ask for.
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <singularity/json.hpp>
#include <singularity/launcher.hpp>

namespace {

using namespace singularity;

[[noreturn]] void fail(const std::string& what) { throw Error(Code::io, what + ": " + std::strerror(errno)); }

void write_file(const char* path, const std::string& text) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool good = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (fd >= 0) close(fd);
    if (!good) fail(std::string("cannot write ") + path);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& t : texts) out.push_back(t.data());
    out.push_back(nullptr);
    return out;
}

class Chroot final : public Launcher {
public:
    void become(const sg_launch& launch) override {
        const json::Document document(launch.spec, "the LaunchSpec");
        const json::Value spec = document.root();
        const auto images = spec["images"].list();
        if (!spec["launchSpecVersion"].text().starts_with("1.") || images.size() != 1 || images[0]["type"].text() != "bind")
            throw Error(Code::unsupported, "@NAME@ runs one directory alone", "Make one: singularity build --sandbox DIRECTORY IMAGE");
        const std::string root = images[0]["path"].text();
        std::vector<std::string> args = spec["process"]["args"].texts(), env = spec["process"]["env"].texts();
        if (args.empty()) throw Error(Code::invalid, "the LaunchSpec has nothing to run");
        if (const unsigned uid = geteuid(), gid = getegid(); uid != 0) {
            if (unshare(CLONE_NEWUSER) != 0) fail("cannot make a user namespace");
            write_file("/proc/self/setgroups", "deny");
            write_file("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1");
            write_file("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
        }
        if (chroot(root.c_str()) != 0 || chdir("/") != 0) fail("cannot enter " + root);
        execve(args[0].c_str(), pointers(args).data(), pointers(env).data());
        fail("cannot run " + args[0]);
    }
    int run(const sg_launch&) override {  // as a child, for options that need somebody who waits
        throw Error(Code::unsupported, "@NAME@ cannot wait for a container");
    }
};

}  // namespace

// clang-format off
SINGULARITY_PLUGIN(@NAME@, Chroot)
