#include "family/seccomp.hpp"

#include <dlfcn.h>
#include <linux/seccomp.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cstring>
#include <memory>

#include "family/capability_names.hpp"
#include "family/system.hpp"

namespace launcher {
namespace {

using Value = rapidjson::Value;

[[noreturn]] void wrong(const std::string& what) {
    throw Error(Code::invalid, "the seccomp profile is not usable: " + what);
}

// The library's functions; it stays loaded.
struct Library {
    decltype(&::seccomp_init) init;
    decltype(&::seccomp_release) release;
    decltype(&::seccomp_arch_add) arch_add;
    decltype(&::seccomp_arch_exist) arch_exist;
    decltype(&::seccomp_arch_resolve_name) arch_resolve_name;
    decltype(&::seccomp_syscall_resolve_name) syscall_resolve_name;
    decltype(&::seccomp_rule_add_array) rule_add_array;
    decltype(&::seccomp_export_bpf) export_bpf;
    decltype(&::seccomp_attr_set) attr_set;

    Library() {
        void* handle = ::dlopen("libseccomp.so.2", RTLD_NOW | RTLD_LOCAL);
        if (!handle)
            throw Error(Code::unsupported, "--security seccomp: the library libseccomp is not here",
                        "an administrator can install it: apt-get install libseccomp2 (dnf install libseccomp)");
        const auto find = [&](auto& function, const char* name) {
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(handle, name));
            if (!function)
                throw Error(Code::unsupported, std::string("--security seccomp: libseccomp has no function ") + name);
        };
        find(init, "seccomp_init");
        find(release, "seccomp_release");
        find(arch_add, "seccomp_arch_add");
        find(arch_exist, "seccomp_arch_exist");
        find(arch_resolve_name, "seccomp_arch_resolve_name");
        find(syscall_resolve_name, "seccomp_syscall_resolve_name");
        find(rule_add_array, "seccomp_rule_add_array");
        find(export_bpf, "seccomp_export_bpf");
        find(attr_set, "seccomp_attr_set");
    }
};

const Value* member(const Value& object, const char* name) {
    const auto it = object.FindMember(name);
    return it == object.MemberEnd() || it->value.IsNull() ? nullptr : &it->value;
}

std::string text(const Value& object, const char* name) {
    const Value* v = member(object, name);
    if (!v) return {};
    if (!v->IsString()) wrong(std::string("'") + name + "' is no text");
    return v->GetString();
}

template <class F>
void each(const Value& object, const char* name, F&& f) {
    const Value* v = member(object, name);
    if (!v) return;
    if (!v->IsArray()) wrong(std::string("'") + name + "' is no list");
    for (const auto& item : v->GetArray()) f(item);
}

uint32_t action_of(const std::string& name, const Value* errno_value) {
    const uint32_t number = errno_value && errno_value->IsUint() ? errno_value->GetUint() : EPERM;
    if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
    if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(number & 0xffff);
    if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
    if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
    if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
    if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
    if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(number & 0xffff);
    if (name == "SCMP_ACT_NOTIFY") return SCMP_ACT_NOTIFY;
    wrong("action '" + name + "'");
}

scmp_compare compare_of(const std::string& name) {
    if (name == "SCMP_CMP_NE") return SCMP_CMP_NE;
    if (name == "SCMP_CMP_LT") return SCMP_CMP_LT;
    if (name == "SCMP_CMP_LE") return SCMP_CMP_LE;
    if (name == "SCMP_CMP_EQ") return SCMP_CMP_EQ;
    if (name == "SCMP_CMP_GE") return SCMP_CMP_GE;
    if (name == "SCMP_CMP_GT") return SCMP_CMP_GT;
    if (name == "SCMP_CMP_MASKED_EQ") return SCMP_CMP_MASKED_EQ;
    wrong("comparison '" + name + "'");
}

std::string lower_arch(std::string name) {  // "SCMP_ARCH_X86_64" -> "x86_64"
    if (name.compare(0, 10, "SCMP_ARCH_") == 0) name.erase(0, 10);
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return name;
}

class Builder {
public:
    explicit Builder(const Value& profile) : profile_(profile) {}

    bool notifies() const { return notifies_; }

    std::vector<sock_filter> make() {
        default_ = action_of(text(profile_, "defaultAction"), member(profile_, "defaultErrnoRet"));
        filter_ = library_.init(default_);
        // Who listens would wait for itself, as the descriptor is sent through the filter.
        if (!filter_ || default_ == SCMP_ACT_NOTIFY) wrong("libseccomp refuses its default action");
        const std::unique_ptr<void, decltype(library_.release)> owner(filter_, library_.release);
        (void)library_.attr_set(filter_, SCMP_FLTATR_CTL_NNP, 0);  // no_new_privs is set by whoever wants it
        architectures();
        each(profile_, "syscalls", [&](const Value& rule) { add(rule); });
        return program();
    }

private:
    void add_arch(const std::string& name) {
        const uint32_t arch = library_.arch_resolve_name(lower_arch(name).c_str());
        // What this library has never heard of cannot run here either.
        if (arch && library_.arch_exist(filter_, arch) != 0 && library_.arch_add(filter_, arch) != 0)
            wrong("architecture '" + name + "'");
    }

    void architectures() {
        each(profile_, "architectures", [&](const Value& v) { add_arch(v.IsString() ? v.GetString() : ""); });
        each(profile_, "archMap", [&](const Value& v) {
            if (library_.arch_exist(filter_, library_.arch_resolve_name(lower_arch(text(v, "architecture")).c_str())) !=
                0)
                return;
            each(v, "subArchitectures", [&](const Value& sub) { add_arch(sub.IsString() ? sub.GetString() : ""); });
        });
    }

    // "includes" and "excludes" of engines: by capability and architecture (Go's names).
    bool chosen(const Value& rule) const {
#if defined(__x86_64__)
        constexpr const char* arch = "amd64";
#elif defined(__aarch64__)
        constexpr const char* arch = "arm64";
#else
        constexpr const char* arch = "";
#endif
        const auto holds = [&](const Value& condition, const char* key, auto&& test) {
            bool any = false;
            each(condition, key, [&](const Value& v) { any = any || (v.IsString() && test(v.GetString())); });
            return any;
        };
        const auto listed = [&](const Value& condition, const char* key) {
            const Value* v = member(condition, key);
            return v && v->IsArray() && !v->Empty();
        };
        const auto is_arch = [&](const std::string& name) { return name == arch; };
        const auto has_capability = [&](const std::string& name) {
            return ::prctl(PR_CAPBSET_READ, __builtin_ctzll(capability_bit(name) | (uint64_t{1} << 63)), 0, 0, 0) == 1;
        };
        if (const Value* c = member(rule, "includes"); c && c->IsObject()) {
            if (listed(*c, "arches") && !holds(*c, "arches", is_arch)) return false;
            if (listed(*c, "caps") && !holds(*c, "caps", has_capability)) return false;
        }
        if (const Value* c = member(rule, "excludes"); c && c->IsObject())
            if (holds(*c, "arches", is_arch) || holds(*c, "caps", has_capability)) return false;
        return true;
    }

    void add(const Value& rule) {
        if (!rule.IsObject()) wrong("a rule is no object");
        if (!chosen(rule)) return;
        const uint32_t action = action_of(text(rule, "action"), member(rule, "errnoRet"));
        notifies_ = notifies_ || action == SCMP_ACT_NOTIFY;
        if (action == default_) return;  // the library refuses such a rule; it says nothing anyway
        std::vector<scmp_arg_cmp> arguments;
        bool repeated = false;
        each(rule, "args", [&](const Value& v) {
            if (!v.IsObject()) wrong("an argument is no object");
            const auto number = [&](const char* key) -> uint64_t {
                const Value* n = member(v, key);
                if (!n) return 0;
                if (!n->IsUint64()) wrong(std::string("'") + key + "' of an argument is no number");
                return n->GetUint64();
            };
            if (number("index") > 5) wrong("a system call has six arguments");
            scmp_arg_cmp a{static_cast<unsigned>(number("index")), compare_of(text(v, "op")), number("value"),
                           number("valueTwo")};
            for (const auto& other : arguments) repeated = repeated || other.arg == a.arg;
            arguments.push_back(a);
        });
        const auto one = [&](const std::string& name) {
            const int call = library_.syscall_resolve_name(name.c_str());
            if (call == __NR_SCMP_ERROR) return;  // another kernel's
            const auto put = [&](const scmp_arg_cmp* list, unsigned count) {
                if (library_.rule_add_array(filter_, action, call, count, list) != 0)
                    wrong("the rule for '" + name + "'");
            };
            // Two conditions on one argument are alternatives, as in runc.
            if (repeated)
                for (const auto& a : arguments) put(&a, 1);
            else
                put(arguments.data(), static_cast<unsigned>(arguments.size()));
        };
        if (const std::string name = text(rule, "name"); !name.empty()) one(name);
        each(rule, "names", [&](const Value& v) {
            if (!v.IsString()) wrong("the name of a system call is no text");
            one(v.GetString());
        });
    }

    std::vector<sock_filter> program() const {
        Fd file(static_cast<int>(::syscall(SYS_memfd_create, "filter", MFD_CLOEXEC)));
        if (!file || library_.export_bpf(filter_, file.get()) != 0) wrong("libseccomp makes no filter of it");
        struct stat s;
        if (::fstat(file.get(), &s) != 0 || s.st_size <= 0 || s.st_size % static_cast<off_t>(sizeof(sock_filter)) != 0)
            wrong("libseccomp makes no filter of it");
        std::vector<sock_filter> out(static_cast<size_t>(s.st_size) / sizeof(sock_filter));
        if (out.size() > BPF_MAXINSNS ||
            ::pread(file.get(), out.data(), static_cast<size_t>(s.st_size), 0) != s.st_size)
            wrong("its filter is too long for the kernel");
        return out;
    }

    const Value& profile_;
    bool notifies_ = false;
    Library library_;
    scmp_filter_ctx filter_ = nullptr;
    uint32_t default_ = 0;
};

// A path may be longer than an address can be: its directory is entered by descriptor.
Fd connect_to(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (path.empty() || path[0] != '/' || slash + 1 == path.size())
        wrong("'listenerPath' is no absolute path of a socket");
    const Fd directory(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    Fd out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!directory || !out) fail("cannot reach the listener of the seccomp profile at", path);
    const std::string place = fd_path(directory.get()) + path.substr(slash);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (place.size() >= sizeof address.sun_path) wrong("the name of the socket '" + path + "' is too long");
    std::memcpy(address.sun_path, place.c_str(), place.size());
    if (::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        fail("cannot reach the listener of the seccomp profile at", path);
    return out;
}

// Sets the filter; the descriptor that its notifications come from.
Fd set_with_listener(const sock_fprog& filter) {
    // Since Linux 5.19 a call that is being answered is interrupted by nothing but a deadly signal, so none is answered
    // twice.
    for (const unsigned long more : {1ul << 5 /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */, 0ul}) {
        const long fd =
            ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | more, &filter);
        if (fd >= 0) return Fd(static_cast<int>(fd));
        if (errno != EINVAL) break;
    }
    fail("cannot set the filter of system calls with its listener");
}

void send_state(int to, int listener, const std::string& metadata) {
    rapidjson::StringBuffer text;
    rapidjson::Writer<rapidjson::StringBuffer> w(text);
    w.StartObject();
    w.Key("ociVersion"), w.String("1.0.2");
    w.Key("fds"), w.StartArray(), w.String("seccompFd"), w.EndArray();
    w.Key("pid"), w.Int(::getpid());
    w.Key("metadata"), w.String(metadata.c_str());
    w.Key("state"), w.StartObject();
    w.Key("ociVersion"), w.String("1.0.2");
    w.Key("id"), w.String("");
    w.Key("status"), w.String("creating");
    w.Key("pid"), w.Int(::getpid());
    w.Key("bundle"), w.String("");
    w.EndObject(), w.EndObject();
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{const_cast<char*>(text.GetString()), text.GetSize()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &listener, sizeof listener);
    if (::sendmsg(to, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.GetSize()))
        fail("cannot hand over the listener of the seccomp profile");
}

}  // namespace

void SeccompFilter::build(const std::string& profile) {
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(profile.data(), profile.size());
    if (d.HasParseError() || !d.IsObject()) wrong("it is no JSON object");
    Builder builder(d);
    program_ = builder.make();
    const std::string path = text(d, "listenerPath");
    metadata_ = text(d, "listenerMetadata");
    if (builder.notifies() && path.empty()) wrong("SCMP_ACT_NOTIFY needs 'listenerPath'");
    if (builder.notifies()) listener_ = connect_to(path);
}

void SeccompFilter::apply() {
    if (program_.empty()) return;
    const sock_fprog filter{static_cast<unsigned short>(program_.size()), const_cast<sock_filter*>(program_.data())};
    if (!listener_) {
        if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) fail("cannot set the filter of system calls");
        return;
    }
    const Fd notifications = set_with_listener(filter);
    send_state(listener_.get(), notifications.get(), metadata_);
    listener_.reset();
}

}  // namespace launcher
