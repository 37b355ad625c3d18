#include "family/payload.hpp"

#include <algorithm>

#include "family/action.hpp"
#include "family/environment.hpp"
#include "family/system.hpp"
#include "family/wrapper.hpp"

namespace launcher {
namespace {

const singularity::Host host;

void enter_directory(const Spec& spec, Variables& variables) {
    std::string now = spec.cwd;
    if (::chdir(spec.cwd.c_str()) != 0) {
        const int reason = errno;
        if (spec.cwd_required) throw system_error(reason, "cannot enter the directory", spec.cwd + " in the container");
        now.clear();
        for (const auto& other : spec.cwd_fallback) {
            if (::chdir(other.c_str()) != 0) continue;
            now = other;
            break;
        }
        if (now.empty()) {
            if (::chdir("/") != 0) fail("cannot enter /");
            now.assign(1, '/');
        }
        host.warn(system_error(reason, "cannot enter the directory", spec.cwd + " in the container").message() +
                  ", using " + now);
    }
    variables["PWD"] = now;
}

bool same_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// The terminal's name is one of the host's /dev, which a container with a /dev of its own has not got: programs that
// ask for it (tty, screen, gpg) must find /dev/console, which is the same device. Where the name leads to the terminal,
// it stays.
void name_terminal(const Spec& spec) {
    if (std::none_of(spec.mounts.begin(), spec.mounts.end(), [](const Mount& m) { return m.type == "dev"; })) return;
    for (int fd = 0; fd < 3; ++fd) {
        struct stat open, named, console;
        char name[4096];
        if (::isatty(fd) != 1 || ::fstat(fd, &open) != 0) continue;
        const ssize_t n = ::readlink(fd_path(fd).c_str(), name, sizeof name);
        if (n > 0 && ::stat(std::string(name, static_cast<size_t>(n)).c_str(), &named) == 0 && same_file(named, open))
            continue;
        if (::stat("/dev/console", &console) != 0 || !same_file(console, open)) continue;
        const int flags = ::fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK);
        const Fd again(::open("/dev/console", flags | O_NOCTTY | O_CLOEXEC));
        if (again) ::dup2(again.get(), fd);
    }
}

}  // namespace

// A program started with a closed descriptor 0, 1 or 2 would get our files there.
void open_standard_descriptors() {
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
        const int null = ::open("/dev/null", O_RDWR);
        if (null >= 0 && null != fd) {
            ::dup2(null, fd);
            ::close(null);
        }
    }
}

void become_payload(const Spec& spec) {
    ContainerEnvironment environment;
    Variables nothing;
    name_terminal(spec);
    enter_directory(spec, nothing);  // before the scripts, as they may look around
    environment = container_environment(spec);
    if (environment.exited && !spec.instance.title.empty())  // nobody waits for the status of a service
        throw Error(Code::invalid,
                    "the image's environment scripts ended the start with status " + std::to_string(environment.status),
                    "what they said is in " + spec.instance.err);
    if (environment.exited) ::_exit(environment.status);
    if (environment.umask) ::umask(*environment.umask);
    environment.variables["PWD"] = nothing["PWD"];
    CommandLine command = command_for(spec, environment.variables);
    wrap(spec, command);
    execute(command, environment.variables, spec.images[0].arch);
}

}  // namespace launcher
