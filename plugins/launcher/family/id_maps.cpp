#include "family/id_maps.hpp"

#include <sys/wait.h>

#include <cstring>

#include "family/namespaces.hpp"
#include "family/programs.hpp"

namespace launcher {
namespace {

std::vector<std::string> words_of(const std::string& program, pid_t process, const std::vector<Mapping>& mappings) {
    std::vector<std::string> out = {program, std::to_string(process)};
    for (const auto& m : mappings)
        for (const uint32_t n : {m.container, m.host, m.size}) out.push_back(std::to_string(n));
    return out;
}

// Runs it with its messages on descriptor 2; the exit code.
int run(std::vector<std::string> words) {
    const pid_t child = ::fork();
    if (child == 0) {
        std::vector<char*> argv;
        for (auto& w : words) argv.push_back(w.data());
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        ::dprintf(2, "%s: %s\n", argv[0], std::strerror(errno));
        ::_exit(127);
    }
    int status = 0;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

// Root needs no program, and no line in /etc/subuid.
bool write_map(const std::string& path, const std::vector<Mapping>& mappings) {
    std::string text;
    for (const auto& m : mappings) text += std::to_string(m.container) + " " + std::to_string(m.host) + " " + std::to_string(m.size) + "\n";
    Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return true;
    ::dprintf(2, "%s: %s\n", path.c_str(), std::strerror(errno));
    return false;
}

}  // namespace

bool are_own_ids(const Spec& spec) {
    const auto own = [](const std::vector<Mapping>& m, uint32_t id) { return m.size() == 1 && m[0].size == 1 && m[0].host == id; };
    return own(spec.uids, ::geteuid()) && own(spec.gids, ::getegid());
}

IdMapper::IdMapper(const Spec& spec) {
    int go[2], result[2];
    if (::pipe2(go, O_CLOEXEC) != 0) fail("cannot make a pipe");
    go_ = Fd(go[1]);
    Fd go_reader(go[0]);
    if (::pipe2(result, O_CLOEXEC) != 0) fail("cannot make a pipe");
    result_ = Fd(result[0]);
    Fd result_writer(result[1]);
    const bool root = can_mount_in_kernel();
    const std::string uid_program = root ? "" : find_host_program("newuidmap"), gid_program = root ? "" : find_host_program("newgidmap");
    if (!root && (uid_program.empty() || gid_program.empty()))
        throw Error(Code::unsupported, "cannot map subordinate ids: the programs newuidmap and newgidmap are not here",
                    "an administrator can install them: apt-get install uidmap (dnf install shadow-utils); or use --ignore-subuid");
    const pid_t process = ::getpid();
    child_ = ::fork();
    if (child_ < 0) fail("cannot start a process");
    if (child_ > 0) return;
    go_.reset();
    char start;
    if (::read(go_reader.get(), &start, 1) != 1) ::_exit(0);  // the namespace was refused
    ::dup2(result_writer.get(), 2);
    const std::string top = "/proc/" + std::to_string(process);
    const bool done = root ? write_map(top + "/uid_map", spec.uids) && write_map(top + "/gid_map", spec.gids)
                           : run(words_of(uid_program, process, spec.uids)) == 0 && run(words_of(gid_program, process, spec.gids)) == 0;
    ::_exit(done ? 0 : 1);
}

IdMapper::~IdMapper() {
    go_.reset();
    int status = 0;
    while (child_ > 0 && ::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
}

void IdMapper::finish() {
    (void)!::write(go_.get(), "g", 1);
    std::string said;
    char buffer[512];
    ssize_t n;
    while ((n = ::read(result_.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && said.size() < 4096) said.append(buffer, static_cast<size_t>(n));
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    said.resize(std::min(said.find('\n'), said.size()));
    throw Error(Code::permission, "Failed to create user namespace: cannot map the subordinate ids: " + said,
                "/etc/subuid and /etc/subgid must name this user, and newuidmap must be set-user-id root; --ignore-subuid does without");
}

}  // namespace launcher
