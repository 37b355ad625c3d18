#include "mount/rendezvous.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sg {

namespace {

constexpr const char* lock_name = "lock";
constexpr int backlog = 4096;  // ranks that start at once
constexpr size_t most_descriptors = 4;
constexpr timeval patience{20, 0};  // for the other side's answer
constexpr int most_swept = 256;

bool users_alone(int directory) {
    struct stat st;
    return fstat(directory, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

// By the directory's descriptor: short enough for any socket, and no other directory can take its place.
bool address(int directory, const std::string& name, sockaddr_un& out) {
    out = {};
    out.sun_family = AF_UNIX;
    const int n = std::snprintf(out.sun_path, sizeof out.sun_path, "/proc/self/fd/%d/%s", directory, name.c_str());
    return n > 0 && static_cast<size_t>(n) < sizeof out.sun_path;
}

UniqueFd new_socket() { return UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)); }

}  // namespace

std::optional<Rendezvous> Rendezvous::open() {
    std::string candidates[2];
    if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime && runtime[0] == '/')
        candidates[0] = std::string(runtime) + "/singularity";
    candidates[1] = "/tmp/.singularity-" + std::to_string(geteuid());
    for (auto& path : candidates) {
        if (path.empty() || (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)) continue;
        UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (directory && users_alone(directory.get())) return Rendezvous(std::move(path), std::move(directory));
    }
    return {};
}

UniqueFd Rendezvous::lock() const {
    // Open for writing, so that a server's process does not take it for a file of its image (background.hpp).
    UniqueFd file(openat(directory_.get(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    while (file && flock(file.get(), LOCK_EX) != 0)
        if (errno != EINTR) file.reset();
    return file;
}

UniqueFd Rendezvous::connect(const std::string& name) const {
    sockaddr_un to;
    UniqueFd socket = new_socket();
    if (!socket || !address(directory_.get(), name, to)) return {};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return {};
    return socket;
}

UniqueFd Rendezvous::listen(const std::string& name) const {
    sockaddr_un at;
    UniqueFd socket = new_socket();
    if (!socket || !address(directory_.get(), name, at)) return {};
    sweep();
    remove(name);
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return {};
    if (::listen(socket.get(), backlog) == 0) return socket;
    remove(name);
    return {};
}

void Rendezvous::remove(const std::string& name) const { unlinkat(directory_.get(), name.c_str(), 0); }

void Rendezvous::sweep() const {
    DIR* all = fdopendir(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!all) return;
    for (int left = most_swept; const dirent* entry = left-- > 0 ? readdir(all) : nullptr;) {
        sockaddr_un to;
        if (entry->d_type != DT_SOCK || !address(directory_.get(), entry->d_name, to)) continue;
        const UniqueFd socket = new_socket();
        if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
            errno == ECONNREFUSED)
            remove(entry->d_name);
    }
    closedir(all);
}

bool Rendezvous::has(std::string_view beginning) const {
    DIR* all = fdopendir(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!all) return false;
    bool found = false;
    while (const dirent* entry = found ? nullptr : readdir(all))
        found = std::string_view(entry->d_name).substr(0, beginning.size()) == beginning;
    closedir(all);
    return found;
}

// The lock of the directory itself: no other file is needed for it.
UniqueFd Rendezvous::right_to_begin() const {
    UniqueFd right(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (right && flock(right.get(), LOCK_EX | LOCK_NB) != 0) right.reset();
    return right;
}

void Rendezvous::release(int right) noexcept { flock(right, LOCK_UN); }

bool send_descriptors(int socket, std::initializer_list<int> descriptors, std::string_view text) noexcept {
    iovec piece{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(head), descriptors.begin(), descriptors.size() * sizeof(int));
    return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

bool receive_descriptors(int socket, UniqueFd* descriptors, size_t count, std::span<char>* text) noexcept {
    char byte;
    iovec piece{&byte, 1};
    if (text) piece = {text->data(), text->size()};
    alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    size_t got = 0;
    for (cmsghdr* head = n >= 0 ? CMSG_FIRSTHDR(&message) : nullptr; head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < (head->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            UniqueFd owned(fd);
            if (got < count) descriptors[got] = std::move(owned);
            ++got;
        }
    }
    if (text && n > 0) *text = text->first(static_cast<size_t>(n));
    return n > 0 && got == count && !(message.msg_flags & (MSG_CTRUNC | MSG_TRUNC));
}

}  // namespace sg
