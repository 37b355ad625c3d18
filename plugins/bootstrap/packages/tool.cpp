#include "packages/tool.hpp"

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

namespace packages {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr const char* usual_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace

bool has_tool(const std::string& name) {
    const std::string path = std::string(usual_path) + ":";
    for (size_t at = 0, end; (end = path.find(':', at)) != std::string::npos; at = end + 1)
        if (::access((path.substr(at, end - at) + "/" + name).c_str(), X_OK) == 0) return true;
    return false;
}

void need_tool(const std::string& name, const std::string& package) {
    if (!has_tool(name)) throw Error(Code::not_found, name + " is not installed on this machine", "The package '" + package + "' has it.");
}

int run_tool(std::vector<std::string> words, const std::vector<std::pair<std::string, std::string>>& environment, const Host& host) {
    const pid_t child = ::fork();
    if (child < 0) throw Error(Code::io, "cannot start " + words[0] + ": " + std::strerror(errno));
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        ::umask(0022);
        ::setenv("PATH", usual_path, 1);
        for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
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
    if (WIFSIGNALED(status)) throw Error(Code::io, words[0] + " was ended by signal " + std::to_string(WTERMSIG(status)));
    return WEXITSTATUS(status);
}

void must_run(std::vector<std::string> words, const std::vector<std::pair<std::string, std::string>>& environment, const Host& host) {
    const std::string name = words[0];
    if (const int status = run_tool(std::move(words), environment, host); status != 0)
        throw Error(Code::io, name + " failed with status " + std::to_string(status), "The lines above are its own.");
}

bool in_user_namespace() {
    unsigned long inside = 0, outside = 0, count = 0;
    FILE* f = std::fopen("/proc/self/uid_map", "re");
    const bool read = f && std::fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3;
    if (f) std::fclose(f);
    return read && count != 4294967295ul;
}

}  // namespace packages
