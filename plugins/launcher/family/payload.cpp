#include "family/payload.hpp"

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
        host.warn(system_error(reason, "cannot enter the directory", spec.cwd + " in the container").message() + ", using " + now);
    }
    variables["PWD"] = now;
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
    enter_directory(spec, nothing);  // before the scripts, as they may look around
    environment = container_environment(spec);
    if (environment.exited && !spec.instance.title.empty())  // nobody waits for the status of a service
        throw Error(Code::invalid, "the image's environment scripts ended the start with status " + std::to_string(environment.status),
                    "what they said is in " + spec.instance.err);
    if (environment.exited) ::_exit(environment.status);
    environment.variables["PWD"] = nothing["PWD"];
    CommandLine command = command_for(spec, environment.variables);
    wrap(spec, command);
    execute(command, environment.variables, spec.images[0].arch);
}

}  // namespace launcher
