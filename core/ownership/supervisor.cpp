#include "ownership/supervisor.hpp"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/whole_io.hpp"
#include "ownership/answers.hpp"
#include "ownership/calls.hpp"

namespace sg::ownership {

namespace {

constexpr const char* socket_name = "owners";
constexpr char wants_record = 'r', knows_record = 'k', answers = 'a';

// The first byte of a message and the descriptor that came with it; '\0' when the other end is gone.
char receive(int from, UniqueFd& descriptor) {
    char bytes[4096];  // the launcher's description of the container is of no interest here
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec part{bytes, sizeof bytes};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = 0;
    do n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const cmsghdr* c = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
        descriptor.reset(fd);
    }
    return n > 0 ? bytes[0] : '\0';
}

bool send_descriptor(int to, char byte, int fd) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(to, &message, MSG_NOSIGNAL) == 1;
}

bool send_record(int to, char byte, const OwnerRecord& record) {
    const UniqueFd file(memfd_create("owners", MFD_CLOEXEC));
    const std::string text = record.text();
    return file && write_all(file.get(), text.data(), text.size()) && send_descriptor(to, byte, file.get());
}

// Throws Code::corrupt.
OwnerRecord read_record(int file) {
    struct stat st;
    if (fstat(file, &st) != 0) throw_errno("cannot read", "the record of owners");
    std::string text(static_cast<size_t>(st.st_size), '\0');
    if (pread(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
        throw_errno("cannot read", "the record of owners");
    return OwnerRecord::parse(text);
}

// The process itself.
class Server {
public:
    Server(UniqueFd socket, UniqueFd control, Files& files, Scope scope)
        : socket_(std::move(socket)), control_(std::move(control)), files_(files), answers_(files, scope) {
        seccomp_notif_sizes sizes{};
        if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) return;
        // A newer kernel may say more than these headers know of.
        asked_.resize(std::max<size_t>(sizes.seccomp_notif, sizeof(seccomp_notif)));
        answer_.resize(std::max<size_t>(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp)));
    }

    void run() {
        for (;;) {
            std::vector<pollfd> fds{{control_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
            for (const Listener& l : listeners_) fds.push_back({l.descriptor.get(), POLLIN, 0});
            if (poll(fds.data(), fds.size(), -1) < 0) {
                if (errno == EINTR) continue;
                return;
            }
            for (size_t i = fds.size(); i-- > 2;) {
                if (fds[i].revents & POLLIN)
                    serve(listeners_[i - 2]);
                else if (fds[i].revents)  // the last process that the filter holds for has ended
                    listeners_.erase(listeners_.begin() + static_cast<ptrdiff_t>(i - 2));
            }
            if (fds[1].revents & POLLIN) accept_listener();
            if (fds[0].revents && !serve_control()) return;
        }
    }

private:
    struct Listener {
        UniqueFd descriptor;
        bool has_asked = false;
    };

    void accept_listener() {
        const UniqueFd connection(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection) return;
        UniqueFd listener;
        if (receive(connection.get(), listener) == '\0' || !listener) return;
        // Both wait for each other by turns: one processor is enough (SECCOMP_IOCTL_NOTIF_SET_FLAGS, Linux 6.6).
        (void)ioctl(listener.get(), _IOW('!', 4, uint64_t), 1UL);
        listeners_.push_back({std::move(listener)});
    }

    bool serve_control() {
        UniqueFd file;
        const char wish = receive(control_.get(), file);
        if (wish == wants_record) return send_record(control_.get(), answers, files_.record());
        if (wish != knows_record || !file) return false;
        files_.know(read_record(file.get()));
        return true;
    }

    void serve(Listener& from) {
        const int listener = from.descriptor.get();
        // The kernel wants it empty.
        std::memset(asked_.data(), 0, asked_.size());
        auto* asked = reinterpret_cast<seccomp_notif*>(asked_.data());
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, asked) != 0) return;  // ENOENT: killed meanwhile
        const auto waits = [&] { return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->id) == 0; };
        Answer out;
        try {
            if (!std::exchange(from.has_asked, true)) answers_.begin(static_cast<pid_t>(asked->pid));
            out = answers_.answer(*asked, waits);
        } catch (const std::exception&) {  // no memory
            out.error = ENOMEM;
        }
        if (out.descriptor && send_file(listener, asked->id, out)) return;
        std::memset(answer_.data(), 0, answer_.size());
        auto* answer = reinterpret_cast<seccomp_notif_resp*>(answer_.data());
        answer->id = asked->id;
        if (out.let_go)
            answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        else if (out.error != 0)
            answer->error = -out.error;
        else
            answer->val = out.value;
        // A signal has interrupted the call: it is asked again.
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer) != 0 && out.directory)
            (void)lseek(out.directory.get(), out.position, SEEK_SET);
    }

    // False: it is `out` that must be answered.
    static bool send_file(int listener, uint64_t id, Answer& out) {
        seccomp_notif_addfd add{};
        add.id = id;
        add.srcfd = static_cast<uint32_t>(out.descriptor.get());
        add.newfd_flags = out.descriptor_flags;
        add.flags = SECCOMP_ADDFD_FLAG_SEND;  // Linux 5.14
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0) return true;
        if (errno == EINVAL) {
            add.flags = 0;
            out.value = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
            if (out.value >= 0) return false;
        }
        out.error = errno;
        return false;
    }

    UniqueFd socket_, control_;
    Files& files_;
    Answers answers_;
    std::vector<Listener> listeners_;
    std::vector<unsigned char> asked_, answer_;
};

[[noreturn]] void gone() {
    throw Error(Code::internal, "the process that records owners has ended",
                "The kernel's log (dmesg) may say why, as when memory ran out.");
}

UniqueFd listening_socket(const std::string& work) {
    // A path may be longer than an address can be.
    const UniqueFd directory(open(work.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) throw_errno("cannot open", work);
    UniqueFd out(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string place = path_of_descriptor(directory.get()) + "/" + socket_name;
    std::memcpy(address.sun_path, place.c_str(), place.size());
    if (!out || bind(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(out.get(), 4) != 0)
        throw_errno("cannot make a socket in", work);
    return out;
}

}  // namespace

Supervisor::Supervisor(const std::string& work, std::string layer, BaseOwners base,
                       const std::function<void()>& close_in_child, std::string place, Scope scope)
    : socket_(work + "/" + socket_name), scope_(scope), maker_(getpid()) {
    UniqueFd socket = listening_socket(work);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw_errno("cannot make a socket pair", "");
    control_ = UniqueFd(pair[0]);
    UniqueFd theirs(pair[1]);
    process_ = fork();
    if (process_ < 0) throw_errno("cannot start the process that answers for owners", "");
    if (process_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != maker_) _exit(1);
    control_.reset();
    if (close_in_child) close_in_child();
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; ++fd) dup2(null, fd);
    umask(0);
    Files files(std::move(layer), std::move(base), std::move(place));
    try {
        Server(std::move(socket), std::move(theirs), files, scope).run();
    } catch (const std::exception&) {  // no memory: whoever asks hears nothing
    }
    _exit(0);
}

Supervisor::~Supervisor() {
    control_.reset();
    // Processes that the maker has forked hold a copy of this object.
    if (process_ > 0 && getpid() == maker_) {
        kill(process_, SIGKILL);
        while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
}

std::string Supervisor::profile() const { return ownership::profile(socket_, scope_); }

void Supervisor::know(const OwnerRecord& record) {
    if (!send_record(control_.get(), knows_record, record)) gone();
}

OwnerRecord Supervisor::record() {
    UniqueFd file;
    if (send(control_.get(), &wants_record, 1, MSG_NOSIGNAL) != 1 || receive(control_.get(), file) != answers || !file)
        gone();
    return read_record(file.get());
}

}  // namespace sg::ownership
