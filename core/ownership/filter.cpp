#include "ownership/filter.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "ownership/calls.hpp"

namespace sg::ownership {

namespace {

constexpr uint32_t most_calls = 600;  // numbers above are of no call that is known here
constexpr uint32_t x32_bit = 0x40000000;

class Program {
public:
    // `argument` < 0: whatever its arguments are. `test` is BPF_JSET (has these bits) or BPF_JEQ.
    void ask(uint32_t arch, uint32_t number, int argument = -1, uint16_t test = 0, uint32_t value = 0) {
        const uint8_t more = argument < 0 ? 0 : 2;
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
        add(BPF_JMP | BPF_JEQ | BPF_K, arch, 0, static_cast<uint8_t>(3 + more));
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
        add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, static_cast<uint8_t>(1 + more));
        if (argument >= 0) {  // the low half: both machines here have that one first
            add(BPF_LD | BPF_W | BPF_ABS,
                static_cast<uint32_t>(offsetof(seccomp_data, args) + sizeof(uint64_t) * static_cast<size_t>(argument)));
            add(static_cast<uint16_t>(BPF_JMP | test | BPF_K), value, 0, 1);
        }
        add(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    std::vector<sock_filter> take() {
        add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        return std::move(out_);
    }

private:
    void add(uint16_t code, uint32_t k, uint8_t yes = 0, uint8_t no = 0) { out_.push_back({code, yes, no, k}); }
    std::vector<sock_filter> out_;
};

}  // namespace

std::vector<sock_filter> filter_program(Scope scope) {
    Program program;
#if defined(__x86_64__)
    const std::pair<uint32_t, uint32_t> kinds[] = {
        {AUDIT_ARCH_X86_64, 0}, {AUDIT_ARCH_X86_64, x32_bit}, {AUDIT_ARCH_I386, 0}};
#else
    const std::pair<uint32_t, uint32_t> kinds[] = {{AUDIT_ARCH_AARCH64, 0}};
#endif
    for (const auto& [arch, bit] : kinds)
        for (uint32_t number = 0; number < most_calls; ++number) {
            const auto known = known_call(arch, number | bit);
            if (!known || !is_answered(known->call, scope)) continue;
            switch (known->call) {
                case Call::open: program.ask(arch, number | bit, 1, BPF_JSET, O_CREAT); break;
                case Call::openat: program.ask(arch, number | bit, 2, BPF_JSET, O_CREAT); break;
                case Call::prctl:
                    program.ask(arch, number | bit, 0, BPF_JEQ, PR_SET_KEEPCAPS);
                    program.ask(arch, number | bit, 0, BPF_JEQ, PR_SET_SECUREBITS);
                    break;
                default: program.ask(arch, number | bit);
            }
        }
    return program.take();
}

void ask_supervisor(const std::string& work, Scope scope) {
    const UniqueFd directory(open(work.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd to(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string place = "/proc/self/fd/" + std::to_string(directory.get()) + "/owners";
    std::memcpy(address.sun_path, place.c_str(), place.size());
    if (!directory || !to || connect(to.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw_errno("cannot reach the process that answers for owners in", work);
    auto program = filter_program(scope);
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    UniqueFd listener;
    // Since Linux 5.19 a call that is being answered is interrupted by nothing but a deadly signal, so none is answered
    // twice.
    for (const unsigned long more : {1ul << 5 /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */, 0ul}) {
        listener.reset(static_cast<int>(
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | more, &filter)));
        if (listener || errno != EINVAL) break;
    }
    if (!listener) throw_errno("cannot set the filter of system calls", "");
    char byte = '{';
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part, message.msg_iovlen = 1;
    message.msg_control = control, message.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    const int fd = listener.get();
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(to.get(), &message, MSG_NOSIGNAL) != 1) throw_errno("cannot hand over the filter of system calls", "");
}

}  // namespace sg::ownership
