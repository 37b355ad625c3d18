// The source "debootstrap": a recipe that the host's program of that name carries out.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "command.hpp"

namespace debootstrap {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr const char* usual_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Users' PATH often lacks the sbin directories, where the program is.
bool is_installed() {
    std::string path = std::string(usual_path) + ":";
    for (size_t at = 0, end; (end = path.find(':', at)) != std::string::npos; at = end + 1)
        if (::access((path.substr(at, end - at) + "/debootstrap").c_str(), X_OK) == 0) return true;
    return false;
}

class Recipe final : public singularity::RecipeImage {
public:
    explicit Recipe(singularity::SourceSpec spec) : spec_(std::move(spec)) {}

    void fill(const std::string& rootfs, const Host& host) override {
        std::vector<std::string> words = command_for(spec_, rootfs);
        const bool machine = ::getuid() == 0 && !in_user_namespace();
        const pid_t child = ::fork();
        if (child < 0) throw Error(Code::io, std::string("cannot start debootstrap: ") + std::strerror(errno));
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            ::umask(0022);
            ::setenv("PATH", usual_path, 1);
            ::setenv("DEBIAN_FRONTEND", "noninteractive", 1);
            // In a user namespace nobody makes device nodes; inside of LXC it does without.
            if (!machine) ::setenv("container", "lxc", 1);
            ::dup2(STDERR_FILENO, STDOUT_FILENO);
            std::vector<char*> argv;
            for (auto& w : words) argv.push_back(w.data());
            argv.push_back(nullptr);
            ::execvp(argv[0], argv.data());
            ::_exit(127);
        }
        int status = 0;
        pid_t done = 0;
        while ((done = ::waitpid(child, &status, WNOHANG)) == 0 || (done < 0 && errno == EINTR)) {
            if (host.cancelled()) ::kill(child, SIGKILL);
            ::poll(nullptr, 0, 50);
        }
        host.poll();
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        throw Error(Code::io, "debootstrap " + (WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status)) : "failed with status " + std::to_string(WEXITSTATUS(status))),
                    "The lines above are its own.");
    }

private:
    static bool in_user_namespace() {
        unsigned long inside = 0, outside = 0, count = 0;
        FILE* f = std::fopen("/proc/self/uid_map", "re");
        const bool read = f && std::fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3;
        if (f) std::fclose(f);
        return read && count != 4294967295ul;
    }

    singularity::SourceSpec spec_;
};

}  // namespace

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        (void)command_for(spec, "/");
        return {"", spec.option("osversion") + ".sif", "", spec.arch, ""};
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host&) override {
        (void)command_for(spec, "/");
        if (!is_installed()) throw Error(Code::not_found, "debootstrap is not installed on this machine", "The package 'debootstrap' has it.");
        return std::make_unique<Recipe>(spec);
    }
};

}  // namespace debootstrap

SINGULARITY_PLUGIN(debootstrap, debootstrap::Source)
