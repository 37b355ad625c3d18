#include "family/container_programs.hpp"

#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include <cstdlib>
#include <cstring>

#include "family/action.hpp"
#include "family/environment.hpp"

namespace launcher {

ContainerProgram prepare_container_program(const std::vector<std::string>& command, int target) {
    ContainerProgram out{command, Fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC))};
    if (!out.device) fail("--fusemount: cannot open", "/dev/fuse");
    const std::string options = "fd=" + std::to_string(out.device.get()) + ",rootmode=40000,user_id=" + std::to_string(::geteuid()) +
                                ",group_id=" + std::to_string(::getegid());
    if (::mount(command[0].c_str(), fd_path(target).c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) fail("--fusemount: cannot mount for", command[0]);
    return out;
}

void start_container_programs(std::vector<ContainerProgram> programs) {
    for (auto& p : programs) {
        const std::string program = p.command[0].find('/') == std::string::npos ? find_program(p.command[0], default_path) : p.command[0];
        if (program.empty()) throw Error(Code::not_found, "--fusemount: there is no program " + p.command[0] + " in the container");
        const pid_t child = ::fork();
        if (child < 0) fail("--fusemount: cannot start", program);
        if (child > 0) continue;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)::fcntl(p.device.get(), F_SETFD, 0);
        p.command.push_back("/dev/fd/" + std::to_string(p.device.get()));
        p.command.emplace_back("-f");
        std::vector<char*> argv;
        for (auto& w : p.command) argv.push_back(w.data());
        argv.push_back(nullptr);
        const std::string path = std::string("PATH=") + default_path;
        char* const environment[] = {const_cast<char*>(path.c_str()), nullptr};
        ::execve(program.c_str(), argv.data(), environment);
        ::dprintf(2, "FATAL:   --fusemount: cannot start %s: %s\n", program.c_str(), std::strerror(errno));
        ::_exit(127);
    }
}

}  // namespace launcher
