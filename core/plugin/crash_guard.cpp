#include "plugin/crash_guard.hpp"

#include <link.h>
#include <signal.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>

namespace sg {

namespace {

// Code of one object. Filled before `count` grows, never changed: the handler reads without a lock.
struct Range {
    uintptr_t begin, end;
    char plugin[64], object[512];
    bool ours;
};
constexpr unsigned most = 256;
Range ranges[most];
std::atomic<unsigned> count{0};

// initial-exec: the handler must not allocate a thread's block of variables.
__attribute__((tls_model("initial-exec"))) thread_local const PluginScope::Marker* current = nullptr;

constexpr int watched[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
struct sigaction before[sizeof watched / sizeof *watched];
alignas(16) char handler_stack[64 * 1024];

void copy(char* to, size_t capacity, const std::string& from) {
    const size_t n = from.size() < capacity - 1 ? from.size() : capacity - 1;
    std::memcpy(to, from.data(), n);
    to[n] = '\0';
}

void add_range(uintptr_t begin, uintptr_t end, const std::string& plugin, const std::string& object, bool ours) {
    const unsigned n = count.load(std::memory_order_relaxed);
    if (n == most) return;
    ranges[n].begin = begin;
    ranges[n].end = end;
    ranges[n].ours = ours;
    copy(ranges[n].plugin, sizeof ranges[n].plugin, plugin);
    copy(ranges[n].object, sizeof ranges[n].object, object);
    count.store(n + 1, std::memory_order_release);
}

const Range* range_of(uintptr_t address) {
    const unsigned n = count.load(std::memory_order_acquire);
    for (unsigned i = 0; i < n; ++i)
        if (address >= ranges[i].begin && address < ranges[i].end) return &ranges[i];
    return nullptr;
}

// The first caller above the interrupted instruction whose code we know. The unwinder takes the dynamic
// linker's lock; should another thread hold it for ever, the alarm ends the process.
const Range* caller_of(uintptr_t pc) {
    struct State {
        uintptr_t pc;
        bool reached;
        const Range* found;
    } state{pc, false, nullptr};
    signal(SIGALRM, SIG_DFL);
    alarm(3);
    _Unwind_Backtrace(
        [](_Unwind_Context* context, void* arg) {
            auto& s = *static_cast<State*>(arg);
            const auto ip = static_cast<uintptr_t>(_Unwind_GetIP(context));
            if (s.reached) s.found = range_of(ip);
            s.reached = s.reached || ip == s.pc;  // what comes before is this handler
            return s.found ? _URC_END_OF_STACK : _URC_NO_REASON;
        },
        &state);
    alarm(0);
    return state.found;
}

// Whose code the thread was in.
const Range* guilty(const ucontext_t* context) {
    uintptr_t pc = 0, sp = 0;
#if defined(__x86_64__)
    pc = static_cast<uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
    sp = static_cast<uintptr_t>(context->uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
    pc = context->uc_mcontext.pc;
    sp = context->uc_mcontext.sp;
    if (const Range* caller = range_of(pc) ? nullptr : range_of(context->uc_mcontext.regs[30])) return caller;
#endif
    if (const Range* r = range_of(pc)) return r;
    if (const Range* r = caller_of(pc)) return r;
    // No way up from there (a jump to nowhere): the nearest return address on the stack is good enough for a
    // message. Read by the kernel: a broken stack pointer is an error there, not another crash.
    static uintptr_t words[4096];
    const iovec to{words, sizeof words}, from{reinterpret_cast<void*>(sp & ~uintptr_t{7}), sizeof words};
    ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    if (got < 0) {  // the stack may end sooner
        const iovec less{reinterpret_cast<void*>(sp & ~uintptr_t{7}), 4096 - (sp & 4095 & ~uintptr_t{7})};
        got = process_vm_readv(getpid(), &to, 1, &less, 1, 0);
    }
    for (ssize_t i = 0; i < got / static_cast<ssize_t>(sizeof *words); ++i)
        if (const Range* r = range_of(words[i])) return r;
    return nullptr;
}

const char* word_for(int number) {
    switch (number) {
        case SIGSEGV: return "segmentation fault";
        case SIGBUS: return "bus error";
        case SIGFPE: return "arithmetic error";
        case SIGILL: return "illegal instruction";
        default: return "abort";
    }
}

void handle(int number, siginfo_t*, void* context) {
    const char *plugin = nullptr, *object = nullptr;
    const Range* r = guilty(static_cast<const ucontext_t*>(context));
    if (r && !r->ours)
        plugin = r->plugin, object = r->object;
    else if (current)
        plugin = current->plugin, object = current->object;
    if (plugin) {
        char line[1024];
        size_t n = 0;
        for (const char* part : {"FATAL:   plugin ", plugin, " crashed: ", word_for(number), " in ", object, "\n"}) {
            const size_t length = std::strlen(part);
            if (n + length > sizeof line) break;
            std::memcpy(line + n, part, length);
            n += length;
        }
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line, n);
        _exit(255);
    }
    for (size_t i = 0; i < sizeof watched / sizeof *watched; ++i)
        if (watched[i] == number) sigaction(number, &before[i], nullptr);
    raise(number);  // delivered when this handler returns
}

}  // namespace

void install_crash_guard() {
    struct sigaction present {};
    if (sigaction(SIGSEGV, nullptr, &present) == 0 && (present.sa_flags & SA_SIGINFO) && present.sa_sigaction == handle) return;
    static std::atomic<bool> known{false};
    // Our own code, so that a crash in a service that a plugin called is not blamed on the plugin.
    if (!known.exchange(true)) dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void*) {
            const auto here = reinterpret_cast<uintptr_t>(&install_crash_guard);
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& p = info->dlpi_phdr[i];
                const uintptr_t begin = info->dlpi_addr + p.p_vaddr;
                if (p.p_type == PT_LOAD && (p.p_flags & PF_X) && here >= begin && here < begin + p.p_memsz) {
                    add_range(begin, begin + p.p_memsz, "", "", true);
                    return 1;
                }
            }
            return 0;
        },
        nullptr);
    stack_t stack{};
    stack.ss_sp = handler_stack;
    stack.ss_size = sizeof handler_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; ++i) sigaction(watched[i], &action, &before[i]);
}

void watch_object(void* handle, const std::string& plugin, const std::string& object) {
    struct Arg {
        const link_map* map;
        const std::string &plugin, &object;
    } arg{nullptr, plugin, object};
    if (dlinfo(handle, RTLD_DI_LINKMAP, &arg.map) != 0) return;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* a) {
            const auto& wanted = *static_cast<Arg*>(a);
            if (info->dlpi_addr != wanted.map->l_addr) return 0;
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& p = info->dlpi_phdr[i];
                if (p.p_type == PT_LOAD && (p.p_flags & PF_X))
                    add_range(info->dlpi_addr + p.p_vaddr, info->dlpi_addr + p.p_vaddr + p.p_memsz, wanted.plugin, wanted.object, false);
            }
            return 1;
        },
        &arg);
}

PluginScope::PluginScope(const std::string& plugin, const std::string& object)
    : marker_{plugin.c_str(), object.c_str()}, before_(current) {
    current = &marker_;
}

PluginScope::~PluginScope() { current = before_; }

}  // namespace sg
