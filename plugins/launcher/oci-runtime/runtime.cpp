#include "runtime.hpp"

#include <rapidjson/document.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <singularity/plugin.hpp>
#include <sstream>

#include "family/cgroup.hpp"
#include "family/programs.hpp"

namespace oci_runtime {
namespace {

using launcher::Fd;
using singularity::Code;
using singularity::Error;

const singularity::Host host;

constexpr const char* install_hint = "an administrator can install one: apt-get install crun (dnf install crun)";

// The first line of `PROGRAM --version`; "" when it does not run.
std::string version_of(const std::string& program) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) launcher::fail("cannot make a pipe");
    Fd reader(ends[0]), writer(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) launcher::fail("cannot start", program);
    if (child == 0) {
        ::dup2(writer.get(), 1);
        const char* const words[] = {program.c_str(), "--version", nullptr};
        ::execv(program.c_str(), const_cast<char**>(words));
        ::_exit(255);
    }
    writer.reset();
    std::string out;
    char buffer[512];
    for (ssize_t n; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0 && out.size() < 4096;)
        out.append(buffer, static_cast<size_t>(n));
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return out.substr(0, out.find('\n'));
}

// What the runtime says went wrong: the last error of its log, which is JSON, a line each.
std::string complaint(const std::string& log) {
    std::string text, last;
    try {
        text = launcher::read_file(AT_FDCWD, log, 1u << 20);
    } catch (const Error&) {
        return {};
    }
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string line = text.substr(at, end - at);
        at = end + 1;
        host.debug("runtime: " + line);
        rapidjson::Document d;
        d.Parse(line.c_str());
        if (d.HasParseError() || !d.IsObject() || !d.HasMember("msg") || !d["msg"].IsString()) continue;
        const bool error =
            !d.HasMember("level") || !d["level"].IsString() || std::string_view(d["level"].GetString()) == "error";
        if (error) last = d["msg"].GetString();
    }
    return last;
}

}  // namespace

Runtime find_runtime(const std::string& wish) {
    if (wish == "auto" || wish.empty()) {
        for (const char* name : {"crun", "runc"})
            if (const std::string path = launcher::find_host_program(name); !path.empty())
                return {path, std::string_view(name) == "crun"};
        throw Error(Code::not_found, "there is no OCI runtime on this machine: neither crun nor runc is in PATH",
                    install_hint);
    }
    if (wish == "crun" || wish == "runc") {
        const std::string path = launcher::find_host_program(wish);
        if (path.empty())
            throw Error(Code::not_found, "there is no " + wish + " on this machine (launcher.oci-runtime.runtime)",
                        install_hint);
        return {path, wish == "crun"};
    }
    if (wish[0] != '/')
        throw Error(Code::usage,
                    "launcher.oci-runtime.runtime: '" + wish + "' is neither auto, crun, runc nor an absolute path");
    if (::access(wish.c_str(), X_OK) != 0) launcher::fail("launcher.oci-runtime.runtime: cannot use", wish);
    return {wish, version_of(wish).compare(0, 4, "crun") == 0};
}

RuntimeCommands::RuntimeCommands(Runtime runtime, std::string session, std::string id, bool control_groups)
    : runtime_(std::move(runtime)), session_(std::move(session)), id_(std::move(id)), control_groups_(control_groups) {}

void RuntimeCommands::call(std::vector<std::string> words, const Passed& passed) const {
    const std::string log = session_ + "/runtime.log", command = words[0];
    (void)::unlink(log.c_str());
    std::vector<std::string> all = {runtime_.program, "--root", session_ + "/state", "--log", log,
                                    "--log-format",   "json"};
    if (runtime_.crun && !control_groups_) all.push_back("--cgroup-manager=disabled");
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (auto& word : all) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    // Variables like NOTIFY_SOCKET and LISTEN_FDS would change what it does.
    std::string path = std::string("PATH=") + (::geteuid() != 0 && std::getenv("PATH")
                                                   ? std::getenv("PATH")
                                                   : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    char* const environment[] = {path.data(), nullptr};
    const pid_t child = ::fork();
    if (child < 0) launcher::fail("cannot start", runtime_.program);
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        const int high = 3 + static_cast<int>(passed.descriptors.size());
        std::vector<int> moved;  // first out of the way of their places
        for (const int fd : passed.descriptors) moved.push_back(::fcntl(fd >= 0 ? fd : null, F_DUPFD_CLOEXEC, high));
        for (size_t i = 0; i < moved.size(); ++i)
            if (moved[i] < 0 || ::dup2(moved[i], static_cast<int>(3 + i)) < 0) ::_exit(254);
        if (!passed.streams)
            for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
        ::execve(runtime_.program.c_str(), arguments.data(), environment);
        ::_exit(254);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) launcher::fail("cannot wait for", runtime_.program);
    const std::string said = complaint(log);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    throw Error(Code::internal,
                "the OCI runtime " + runtime_.program + " could not " + command + " the container: " +
                    (!said.empty()                ? said
                     : WIFSIGNALED(status)        ? "it was ended by signal " + std::to_string(WTERMSIG(status))
                     : WEXITSTATUS(status) == 254 ? "it cannot be executed"
                                                  : "it ended with status " + std::to_string(WEXITSTATUS(status))),
                "'singularity --debug' shows all that it says");
}

void RuntimeCommands::create(const std::string& bundle, const std::string& console_socket, const Passed& passed) const {
    std::vector<std::string> words = {"create",     "--bundle",        bundle,
                                      "--pid-file", session_ + "/pid", "--no-new-keyring"};
    if (!passed.descriptors.empty())
        words.insert(words.end(), {"--preserve-fds", std::to_string(passed.descriptors.size())});
    if (!console_socket.empty()) words.insert(words.end(), {"--console-socket", console_socket});
    words.push_back(id_);
    call(std::move(words), passed);
}

void RuntimeCommands::start() const { call({"start", id_}, {{}, false}); }

void RuntimeCommands::exec(const std::string& process_file, const std::string& pid_file,
                           const std::string& console_socket, const Passed& passed) const {
    std::vector<std::string> words = {"exec", "--detach", "--process", process_file, "--pid-file", pid_file};
    if (!passed.descriptors.empty())
        words.insert(words.end(), {"--preserve-fds", std::to_string(passed.descriptors.size())});
    if (!console_socket.empty()) words.insert(words.end(), {"--console-socket", console_socket});
    words.push_back(id_);
    call(std::move(words), passed);
}

void RuntimeCommands::remove() const noexcept {
    try {
        call({"delete", "--force", id_}, {{}, false});
    } catch (const std::exception& e) {
        host.debug(e.what());
    }
}

void RuntimeCommands::kill_and_remove() const noexcept {
    try {
        call({"kill", id_, "KILL"}, {{}, false});  // crun's "delete --force" kills nothing without a control group
    } catch (const std::exception& e) {
        host.debug(e.what());
    }
    remove();
    // crun forgets the group of a container that it could not make.
    if (control_groups_) launcher::remove_groups(group_directories({"/" + id_}));
}

pid_t RuntimeCommands::pid() const { return read_pid(session_ + "/pid"); }

std::vector<std::string> group_directories(const std::vector<std::string>& paths) {
    std::vector<std::string> out;
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string number, parent, device, root, point, word, type;
        words >> number >> parent >> device >> root >> point;
        while (words >> word && word != "-") {
        }
        words >> type;
        if ((type != "cgroup" && type != "cgroup2") || root != "/") continue;
        for (const auto& path : paths)
            if (const std::string directory = point + path;
                ::access(directory.c_str(), F_OK) == 0 && std::find(out.begin(), out.end(), directory) == out.end())
                out.push_back(directory);
    }
    return out;
}

pid_t read_pid(const std::string& path) {
    const std::string text = launcher::read_file(AT_FDCWD, path, 64);
    char* end = nullptr;
    const long pid = std::strtol(text.c_str(), &end, 10);
    if (pid <= 0 || end == text.c_str()) throw Error(Code::internal, "the OCI runtime wrote no process number");
    return static_cast<pid_t>(pid);
}

}  // namespace oci_runtime
