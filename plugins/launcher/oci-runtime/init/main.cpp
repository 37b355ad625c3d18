// The first program of a container of the launcher oci-runtime. It is linked statically: an image need not hold
// anything.
//
// The runtime has set namespaces, ids, rights and the root file system. This program waits until it may go, then does
// what the LaunchSpec says of the inside: first process or service, environment of the image, working directory, and
// becomes the program asked for. Descriptors, from --descriptors on: the LaunchSpec, a pipe with one byte to go (whose
// other end only the monitor has), errors and messages, the exact status; then those of FUSE programs of the container.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <singularity/host.h>
#include <sys/prctl.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "family/container_programs.hpp"
#include "family/first_process.hpp"
#include "family/payload.hpp"
#include "family/privileges.hpp"
#include "family/report.hpp"
#include "family/service.hpp"
#include "family/spec.hpp"

namespace {

using launcher::Fd;
using launcher::Spec;

// The host's messages, as the program of that name writes them.
void line(int32_t level, const char* text) {
    const std::string all = std::string(level <= SG_ERROR     ? "ERROR:   "
                                        : level <= SG_WARNING ? "WARNING: "
                                                              : "INFO:    ") +
                            text + "\n";
    if (level <= SG_INFO) (void)!::write(2, all.data(), all.size());
}
const sg_host_log_v1 log_table = {[](int32_t level) -> int32_t { return level <= SG_INFO ? 1 : 0; }, line};
const sg_host this_host = {SG_ABI_VERSION, "", [](const sg_host*, const char* name, uint32_t version) -> const void* {
                               return std::strcmp(name, "log") == 0 && version == 1 ? &log_table : nullptr;
                           }};

struct Words {
    int descriptors = 3;
    std::vector<int> gaps;
    int programs = 0;
    std::string home, cwd;
    bool service = false;
    int stop_signal = 0;
    bool ids = false;
    uint32_t uid = 0, gid = 0;
    uint64_t capabilities = 0;
};

template <class Number>
const char* read_number(const char* at, Number& to) {
    return std::from_chars(at, at + std::strlen(at), to).ptr;
}

Words read_words(int count, char** words) {
    Words out;
    for (int i = 1; i < count; ++i) {
        const char* equals = std::strchr(words[i], '=');
        if (!equals) continue;
        const std::string_view name(words[i], static_cast<size_t>(equals - words[i]));
        const char* value = equals + 1;
        if (name == "--descriptors") read_number(value, out.descriptors);
        if (name == "--programs") read_number(value, out.programs);
        if (name == "--home") out.home = value;
        if (name == "--cwd") out.cwd = value;
        if (name == "--service") out.service = true, read_number(value, out.stop_signal);
        if (name == "--gaps")
            for (const char* at = value; *at; at += *at == ',')
                out.gaps.push_back(0), at = read_number(at, out.gaps.back());
        if (name == "--ids") {
            out.ids = true;
            value = read_number(value, out.uid);
            value = read_number(*value ? value + 1 : value, out.gid);
            read_number(*value ? value + 1 : value, out.capabilities);
        }
    }
    return out;
}

std::string whole(int fd) {
    std::string out;
    char buffer[65536];
    for (ssize_t n; (n = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(out.size()))) > 0;)
        out.append(buffer, static_cast<size_t>(n));
    return out;
}

void write_text(const char* path, const std::string& text) {
    const Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        launcher::fail("cannot become the container's user by", path,
                     "'crun' needs no /proc in the container for that (launcher.oci-runtime.runtime)");
}

// ids.hpp: a user namespace in which the caller has the numbers that were asked for.
void take_ids(const Words& words, const Spec& spec) {
    if (::unshare(CLONE_NEWUSER) != 0) launcher::fail("cannot create a user namespace in the container");
    write_text("/proc/self/uid_map", std::to_string(words.uid) + " 0 1\n");
    write_text("/proc/self/gid_map", std::to_string(words.gid) + " 0 1\n");
    Spec rights;
    rights.user = rights.set_capabilities = true;
    rights.capabilities = words.capabilities;
    rights.no_new_privileges = spec.no_new_privileges;
    launcher::Privileges privileges;
    privileges.apply(rights);
}

void end_with(int alive) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    pollfd p{alive, 0, 0};
    if (::poll(&p, 1, 0) == 1 && (p.revents & POLLHUP)) ::_exit(255);
}

}  // namespace

int main(int count, char** all) {
    singularity::detail::the_host = &this_host;
    const Words words = read_words(count, all);
    const int base = words.descriptors;
    for (const int gap : words.gaps) ::close(gap);
    for (int i = 0; i < 4 + words.programs; ++i) ::fcntl(base + i, F_SETFD, FD_CLOEXEC);
    Fd text(base), go(base + 1), errors(base + 2), reports(base + 3);
    launcher::or_send_error(errors.get(), [&] {
        char byte = 0;
        if (!launcher::receive(go.get(), &byte, 1)) ::_exit(255);
        Spec spec = launcher::parse_spec(whole(text.get()));
        text.reset();
        if (!words.cwd.empty()) spec.cwd = words.cwd;
        if (!words.home.empty()) {
            std::erase_if(spec.environment, [](const std::string& v) { return v.compare(0, 5, "HOME=") == 0; });
            spec.environment.push_back("HOME=" + words.home);
        }
        if (words.ids) take_ids(words, spec);
        end_with(go.get());
        std::vector<launcher::ContainerProgram> programs;
        for (const auto& m : spec.mounts)
            if (m.type == "fuse" && m.in_container && static_cast<int>(programs.size()) < words.programs)
                programs.push_back({m.command, Fd(base + 4 + static_cast<int>(programs.size()))});
        const auto payload = [&] {
            launcher::or_send_error(errors.get(), [&] {
                launcher::start_container_programs(std::move(programs));
                launcher::become_payload(spec);
            });
        };
        if (words.service) {
            launcher::Service service;
            service.title = spec.instance.title;
            service.own_processes = spec.pid;
            service.stop_signal = words.stop_signal;
            service.in = Fd(::fcntl(0, F_DUPFD_CLOEXEC, 3)), service.out = Fd(::fcntl(1, F_DUPFD_CLOEXEC, 3)),
            service.err = Fd(::fcntl(2, F_DUPFD_CLOEXEC, 3));
            launcher::be_service(service, errors.get(), payload);
        }
        if (spec.pid && spec.init) launcher::be_first_process(reports.get(), payload);
        payload();
    });
}
