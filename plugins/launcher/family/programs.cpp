#include "family/programs.hpp"

#include <dirent.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>

#include "family/namespaces.hpp"

namespace launcher {
namespace {

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
constexpr unsigned open_tree_clone = 1, move_empty_from = 4, move_empty_to = 0x40;
constexpr unsigned patience = 30;  // seconds until a program that mounts nothing is given up
constexpr size_t most_descriptors = 8, most_text = 65536;

// ---- Messages: NUL-ended texts, with descriptors ------------------------------------------------

bool send_message(int socket, const std::string& text, const std::vector<int>& descriptors) {
    iovec data{const_cast<char*>(text.data()), text.size()};
    char control[CMSG_SPACE(most_descriptors * sizeof(int))] = {};
    msghdr m{};
    m.msg_iov = &data, m.msg_iovlen = 1;
    if (!descriptors.empty()) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
        cmsghdr* c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
        std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size() * sizeof(int));
    }
    ssize_t n;
    do n = ::sendmsg(socket, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == static_cast<ssize_t>(text.size());
}

// False at the other side's end.
bool receive_message(int socket, std::string& text, std::vector<Fd>& descriptors) {
    text.resize(most_text);
    iovec data{text.data(), text.size()};
    char control[CMSG_SPACE(most_descriptors * sizeof(int))];
    msghdr m{};
    m.msg_iov = &data, m.msg_iovlen = 1, m.msg_control = control, m.msg_controllen = sizeof control;
    ssize_t n;
    do n = ::recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return false;
    text.resize(static_cast<size_t>(n));
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            descriptors.emplace_back(fd);
        }
    }
    return true;
}

std::vector<std::string> split_texts(const std::string& joined) {
    std::vector<std::string> out;
    for (size_t at = 0; at < joined.size();) {
        const size_t end = std::min(joined.find('\0', at), joined.size());
        out.push_back(joined.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

// ---- The helper -------------------------------------------------------------------------------

void close_from_3(int keep) {
    DIR* open_ones = ::opendir("/proc/self/fd");
    if (!open_ones) {
        for (int fd = 3; fd < 1024; ++fd)
            if (fd != keep) ::close(fd);
        return;
    }
    while (const dirent* entry = ::readdir(open_ones)) {
        const int fd = std::atoi(entry->d_name);
        if (fd > 2 && fd != keep && fd != ::dirfd(open_ones)) ::close(fd);
    }
    ::closedir(open_ones);
}

// In a user namespace whoever is not its root loses the rights in it with the next program, unless they are ambient.
void keep_rights() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    if (::syscall(SYS_capget, &header, data) != 0) return;
    for (auto& d : data) d.inheritable = d.permitted;
    if (::syscall(SYS_capset, &header, data) != 0) return;
    for (int cap = 0; cap < 64; ++cap)
        if (data[cap / 32].permitted >> (cap % 32) & 1) (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

// Attributes as the kernel knows them: a FUSE server that does not answer must not hold us.
bool device_of(const char* path, unsigned& major, unsigned& minor) {
    struct statx s;
    if (::statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, 0, &s) != 0) return false;
    major = s.stx_dev_major, minor = s.stx_dev_minor;
    return true;
}

// What a program said first. fuse-overlayfs tells of mount options of the kernel that it leaves out, and is no worse for it.
std::string first_line(int file) {
    char text[1024];
    const ssize_t n = ::pread(file, text, sizeof text, 0);
    std::string out(text, n > 0 ? static_cast<size_t>(n) : 0);
    for (size_t end; out.starts_with("unknown argument ignored") && (end = out.find('\n')) != std::string::npos;) out.erase(0, end + 1);
    out.resize(std::min(out.find('\n'), out.size()));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 32) c = ' ';
    return out;
}

constexpr int gave_up = 2;  // the exit code of serve() that has sent no answer
pid_t running_program = 0;

void give_up(int) {
    if (running_program > 0) ::kill(running_program, SIGKILL);
    ::_exit(gave_up);
}

[[noreturn]] void execute_program(std::vector<std::string> words, int words_file, const std::vector<Fd>& descriptors) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGALRM, SIG_DFL);
    ::dup2(words_file, 2);
    for (size_t i = 1; i < descriptors.size(); ++i) (void)::fcntl(descriptors[i].get(), F_SETFD, 0);
    keep_rights();
    std::vector<char*> argv;
    for (auto& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::dprintf(2, "%s: %s\n", argv[0], std::strerror(errno));
    ::_exit(127);
}

// One request, in a process of its own: texts are target, directory and the words; the first descriptor is the
// container's mount namespace.
[[noreturn]] void serve(int socket, std::vector<std::string> texts, const std::vector<Fd>& descriptors) {
    const auto refuse = [&](const std::string& what) {
        (void)send_message(socket, what, {});
        ::_exit(1);
    };
    const std::string target = texts[0], directory = texts[1];
    if (::setns(descriptors[0].get(), CLONE_NEWNS) != 0 || ::unshare(CLONE_NEWNS) != 0 || ::chdir(directory.c_str()) != 0)
        refuse(std::string("cannot enter a mount namespace for it: ") + std::strerror(errno));
    for (auto& t : texts)
        if (t == "{}") t = target;
    const int words_file = static_cast<int>(::syscall(SYS_memfd_create, "messages", MFD_CLOEXEC));
    unsigned major = 0, minor = 0, now_major = 0, now_minor = 0;
    if (!device_of(target.c_str(), major, minor)) refuse(target + ": " + std::strerror(errno));
    struct sigaction action {};
    action.sa_handler = give_up;
    ::sigaction(SIGALRM, &action, nullptr);
    sigset_t only_alarm;
    ::sigemptyset(&only_alarm);
    ::sigaddset(&only_alarm, SIGALRM);
    ::sigprocmask(SIG_UNBLOCK, &only_alarm, nullptr);
    ::alarm(patience);
    running_program = ::fork();
    if (running_program == 0) execute_program({texts.begin() + 2, texts.end()}, words_file, descriptors);
    if (running_program < 0) refuse(std::string("cannot start a process: ") + std::strerror(errno));
    const auto mounted = [&] { return device_of(target.c_str(), now_major, now_minor) && (now_major != major || now_minor != minor); };
    while (!mounted()) {
        int status = 0;
        if (::waitpid(running_program, &status, WNOHANG) == running_program) {
            if (mounted()) break;  // it goes on in the background
            running_program = 0;
            std::string said = first_line(words_file);
            if (said.empty()) said = WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status)) : "status " + std::to_string(WEXITSTATUS(status));
            refuse(said);
        }
        ::usleep(1000);
    }
    const Fd tree(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, target.c_str(), open_tree_clone | O_CLOEXEC)));
    const int reason = errno;
    (void)::umount2(target.c_str(), MNT_DETACH);
    if (!tree) {
        ::kill(running_program, SIGTERM);
        refuse(std::string("the kernel cannot hand over its mount (needs Linux 5.2): ") + std::strerror(reason));
    }
    (void)send_message(socket, std::string(1, '\0'), {tree.get()});
    ::_exit(0);
}

[[noreturn]] void help(int socket) {
    ::setsid();
    (void)!::chdir("/");
    close_from_3(socket);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; ++fd) null >= 0 ? ::dup2(null, fd) : ::close(fd);
    if (null > 2) ::close(null);
    ::prctl(PR_SET_NAME, "singularity-fs");
    std::string joined;
    std::vector<Fd> descriptors;
    while (receive_message(socket, joined, descriptors)) {
        const auto texts = split_texts(joined);
        if (texts.size() >= 3 && !descriptors.empty()) {
            const pid_t child = ::fork();
            if (child == 0) serve(socket, texts, descriptors);
            int status = 0;
            while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
            }
            if (child < 0 || WIFSIGNALED(status) || WEXITSTATUS(status) == gave_up)
                (void)send_message(socket, "it mounted nothing within " + std::to_string(patience) + " s", {});
        }
        descriptors.clear();
    }
    ::_exit(0);
}

}  // namespace

std::string find_host_program(const std::string& name) {
    static constexpr const char* usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::string path = usual;
    if (const char* own = std::getenv("PATH"); own && *own && !can_mount_in_kernel()) path = std::string(own) + ":" + usual;
    for (size_t at = 0; at <= path.size();) {
        const size_t end = std::min(path.find(':', at), path.size());
        const std::string file = path.substr(at, end - at) + "/" + name;
        struct stat s;
        if (file[0] == '/' && ::stat(file.c_str(), &s) == 0 && S_ISREG(s.st_mode) && ::access(file.c_str(), X_OK) == 0) return file;
        at = end + 1;
    }
    return {};
}

std::unique_ptr<Programs> Programs::start() {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) fail("cannot make a socket pair");
    Fd ours(pair[0]), theirs(pair[1]);
    // Blocked from before its birth: a signal to the job must not hit it before it has a session of its own.
    sigset_t all, before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t middle = ::fork();
    if (middle == 0) {
        // Twice: it must be no child of the process that becomes the container's.
        const pid_t helper = ::fork();
        if (helper == 0) help(theirs.get());
        ::_exit(helper < 0 ? 1 : 0);
    }
    const int reason = errno;
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    int status = 0;
    while (middle > 0 && ::waitpid(middle, &status, 0) < 0 && errno == EINTR) {
    }
    if (middle < 0 || status != 0) throw system_error(middle < 0 ? reason : EAGAIN, "cannot start a helper process");
    return std::unique_ptr<Programs>(new Programs(std::move(ours)));
}

Fd Programs::mount(const std::vector<std::string>& words, const std::string& target, const std::string& directory, const std::vector<int>& kept) {
    const Fd here(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    if (!here) fail("cannot open", "/proc/self/ns/mnt");
    std::string request = target + '\0' + directory + '\0';
    for (const auto& w : words) request += w + '\0';
    std::vector<int> descriptors = {here.get()};
    descriptors.insert(descriptors.end(), kept.begin(), kept.end());
    if (request.size() > most_text || descriptors.size() > most_descriptors) throw Error(Code::limit, words[0] + " is given too many arguments");
    std::string answer;
    std::vector<Fd> got;
    if (!send_message(socket_.get(), request, descriptors) || !receive_message(socket_.get(), answer, got))
        throw Error(Code::io, words[0] + ": the process that starts it has ended");
    if (got.empty()) throw Error(Code::io, words[0] + ": " + answer);
    return std::move(got[0]);
}

static void limit_mount(int mount, bool read_only) {
    struct {
        uint64_t set, clear, propagation, userns_fd;
    } attributes{2 | 4 | (read_only ? 1u : 0u), 0, 0, 0};  // MOUNT_ATTR_NOSUID, NODEV, RDONLY
    // Before Linux 5.12 the flags that the program has mounted with stay.
    (void)::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
}

void attach_mount(int mount, const std::string& target, bool read_only) {
    limit_mount(mount, read_only);
    if (::syscall(SYS_move_mount, mount, "", AT_FDCWD, target.c_str(), move_empty_from) != 0) fail("cannot mount on", target);
}

void attach_mount(int mount, int target) {
    limit_mount(mount, false);
    if (::syscall(SYS_move_mount, mount, "", target, "", move_empty_from | move_empty_to) != 0) fail("cannot mount what the program serves");
}

}  // namespace launcher
