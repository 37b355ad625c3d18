#include "family/network.hpp"

#include <dirent.h>
#include <poll.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "family/cni.hpp"
#include "family/namespaces.hpp"
#include "family/report.hpp"

namespace launcher {
namespace {

const singularity::Host host_log;

constexpr const char* records = "/run/singularity/network";

// ---- Records ------------------------------------------------------------------------------------

struct Record {
    PluginCalls calls;               // without the path of the namespace
    unsigned long long machine = 0;  // inode of the network namespace that the plugins work in
    std::vector<Attachment> all;
};

unsigned long long own_network() {
    struct stat s;
    if (::stat("/proc/self/ns/net", &s) != 0) fail("cannot look at", "/proc/self/ns/net");
    return s.st_ino;
}

std::string to_json(const Record& r) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    const auto texts = [&](const char* name, const std::vector<std::string>& list) {
        w.Key(name), w.StartArray();
        for (const auto& t : list) w.String(t);
        w.EndArray();
    };
    w.StartObject();
    w.Key("container"), w.String(r.calls.container);
    w.Key("machine"), w.Uint64(r.machine);
    texts("pluginPath", r.calls.plugins);
    w.Key("networks"), w.StartArray();
    for (const auto& a : r.all) {
        w.StartObject();
        for (const auto& [name, value] : {std::pair{"name", &a.network},
                                          {"version", &a.version},
                                          {"interface", &a.interface},
                                          {"arguments", &a.arguments},
                                          {"result", &a.result}})
            w.Key(name), w.String(*value);
        w.Key("begun"), w.Bool(a.begun);
        texts("plugins", a.plugins);
        w.EndObject();
    }
    w.EndArray();
    w.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

std::optional<Record> from_json(const std::string& text) {
    using rapidjson::Value;
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    if (d.HasParseError() || !d.IsObject()) return {};
    const auto string = [](const Value& v, const char* name) {
        return v.HasMember(name) && v[name].IsString() ? std::string(v[name].GetString()) : std::string();
    };
    const auto texts = [](const Value& v, const char* name) {
        std::vector<std::string> out;
        if (v.HasMember(name) && v[name].IsArray())
            for (const auto& t : v[name].GetArray())
                if (t.IsString()) out.emplace_back(t.GetString());
        return out;
    };
    if (!d.HasMember("machine") || !d["machine"].IsUint64() || !d.HasMember("networks") || !d["networks"].IsArray())
        return {};
    Record out;
    out.calls.container = string(d, "container");
    out.calls.plugins = texts(d, "pluginPath");
    out.machine = d["machine"].GetUint64();
    for (const auto& v : d["networks"].GetArray()) {
        if (!v.IsObject()) return {};
        Attachment a;
        a.network = string(v, "name"), a.version = string(v, "version"), a.interface = string(v, "interface");
        a.arguments = string(v, "arguments"), a.result = string(v, "result");
        a.begun = v.HasMember("begun") && v["begun"].IsBool() && v["begun"].GetBool();
        a.plugins = texts(v, "plugins");
        out.all.push_back(std::move(a));
    }
    return out;
}

// A directory of root's alone: what stands in a record is run.
Fd records_directory() {
    (void)::mkdir("/run/singularity", 0755);
    if (::mkdir(records, 0700) != 0 && errno != EEXIST)
        fail("cannot keep a record of the container's network", records);
    Fd fd(::open(records, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat s;
    if (!fd || ::fstat(fd.get(), &s) != 0) fail("cannot keep a record of the container's network", records);
    if (s.st_uid != 0 || (s.st_mode & 022))
        throw Error(Code::permission, std::string(records) + " can be written to by others than root",
                    "remove it; it is made again");
    return fd;
}

// The file of a record, locked as long as its owner lives. It gets its name when it is whole and locked.
class RecordFile {
public:
    void create(const std::string& name, const Record& record) {
        const Fd directory = records_directory();
        const std::string part = std::string(records) + "/." + name;
        path_ = std::string(records) + "/" + name;
        file_ = Fd(::open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!file_ || ::flock(file_.get(), LOCK_EX) != 0) fail("cannot keep a record of the container's network", part);
        write(record);
        if (::rename(part.c_str(), path_.c_str()) != 0) fail("cannot keep a record of the container's network", path_);
    }
    // Somebody else's. False when there is none any more, or (without `wait`) when its owner lives.
    bool take(const std::string& path, bool wait) {
        path_ = path;
        file_ = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        if (!file_) return false;
        int r;
        do r = ::flock(file_.get(), wait ? LOCK_EX : LOCK_EX | LOCK_NB);
        while (r != 0 && errno == EINTR);
        struct stat s;
        return r == 0 && ::fstat(file_.get(), &s) == 0 && s.st_nlink > 0;
    }
    void write(const Record& record) const {
        const std::string text = to_json(record);
        if (::ftruncate(file_.get(), 0) != 0 ||
            ::pwrite(file_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
            fail("cannot keep a record of the container's network", path_);
    }
    std::optional<Record> read() const { return from_json(read_file(AT_FDCWD, fd_path(file_.get()), 4u << 20)); }
    void remove() const { (void)::unlink(path_.c_str()); }
    int descriptor() const { return file_.get(); }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    Fd file_;
};

// DEL for all that was begun, the last network first. Throws the first error when every one was tried.
void leave_all(const Record& record, const std::string& network_path) {
    PluginCalls calls = record.calls;
    calls.path = network_path;
    std::optional<Error> first;
    for (auto a = record.all.rbegin(); a != record.all.rend(); ++a) {
        try {
            detach(*a, calls);
        } catch (const Error& e) {
            if (!first) first = e;
        }
    }
    if (first) throw *first;
}

// What keepers owe that were killed themselves. No reason not to start a container.
void sweep() {
    DIR* dir = ::opendir(records);
    if (!dir) return;
    std::vector<std::string> paths;
    while (const dirent* e = ::readdir(dir))
        if (e->d_name[0] != '.') paths.push_back(std::string(records) + "/" + e->d_name);
    ::closedir(dir);
    for (const auto& path : paths) {
        RecordFile file;
        if (!file.take(path, false)) continue;
        const auto record = file.read();
        if (record && record->machine != own_network())
            continue;  // of another network namespace than the plugins would work in
        file.remove();
        if (!record) continue;
        try {
            leave_all(*record, {});
        } catch (const Error& e) {
            host_log.warn("a network of a container that was killed could not be taken down: " + e.message());
        }
    }
}

// ---- The keeper ---------------------------------------------------------------------------------

enum class Word : char { done = 'd', failed = 'f', watch = 'w', leave = 'l' };

void answer(int socket, const std::string& text) {
    const auto word = static_cast<char>(Word::done);
    const auto size = static_cast<uint32_t>(text.size());
    (void)::send(socket, &word, 1, MSG_NOSIGNAL);
    (void)::send(socket, &size, sizeof size, MSG_NOSIGNAL);
    (void)::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
}
void answer(int socket, const Error& e) {
    const auto word = static_cast<char>(Word::failed);
    sg_error out;
    std::memset(&out, 0, sizeof out);
    (void)singularity::fill(&out, e.code(), e.message(), e.hint(), e.detail());
    (void)::send(socket, &word, 1, MSG_NOSIGNAL);
    (void)::send(socket, &out, sizeof out, MSG_NOSIGNAL);
}
// The text of a `done`; throws what came with a `failed`. Nothing when the other side is gone.
std::optional<std::string> receive_answer(int socket) {
    char word = 0;
    uint32_t size = 0;
    if (!receive(socket, &word, 1)) return {};
    if (word == static_cast<char>(Word::failed)) {
        receive_error(socket);
        return {};
    }
    if (!receive(socket, &size, sizeof size) || size > 4096) return {};
    std::string text(size, '\0');
    if (!receive(socket, text.data(), size)) return {};
    return text;
}

Fd process_handle(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u))); }

void become_keeper(const Fd& socket, const Fd& network, const Fd& caller) {
    ::setsid();
    ::prctl(PR_SET_NAME, "singularity-net", 0, 0, 0);
    struct sigaction usual {};
    for (int s = 1; s < NSIG; ++s) {
        usual.sa_handler =
            s == SIGINT || s == SIGTERM || s == SIGHUP || s == SIGQUIT || s == SIGPIPE ? SIG_IGN : SIG_DFL;
        (void)::sigaction(s, &usual, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    // Whoever waits for the end of the caller's output must not wait for this process.
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int fd = 0; fd < 3 && null; ++fd) ::dup2(null.get(), fd);
    std::vector<int> kept = {socket.get(), network.get(), caller.get()};
    std::sort(kept.begin(), kept.end());
    unsigned from = 3;
    for (const int fd : kept) {
        if (static_cast<unsigned>(fd) > from) (void)::syscall(SYS_close_range, from, static_cast<unsigned>(fd) - 1, 0u);
        from = static_cast<unsigned>(fd) + 1;
    }
    (void)::syscall(SYS_close_range, from, ~0u, 0u);
    (void)!::chdir("/");
}

// Until the caller says so or the watched process ends. True when the caller waits for an answer.
bool wait_for_the_end(const Fd& socket, Fd& watched) {
    bool connected = true;
    for (;;) {
        pollfd p[2] = {{watched.get(), POLLIN, 0}, {connected ? socket.get() : -1, POLLIN, 0}};
        if (::poll(p, 2, -1) < 0) {
            if (errno == EINTR) continue;
            return false;
        }
        if (p[1].revents) {
            char word = 0;
            pid_t pid = 0;
            if (!receive(socket.get(), &word, 1)) {
                connected = false;
            } else if (word == static_cast<char>(Word::leave)) {
                return true;
            } else if (word == static_cast<char>(Word::watch) && receive(socket.get(), &pid, sizeof pid)) {
                Fd other = process_handle(pid);
                if (!other) return false;  // it has ended
                watched = std::move(other);
                answer(socket.get(), std::string());
                continue;
            }
        }
        if (p[0].revents) return false;
    }
}

[[noreturn]] void keep(Record record, const std::string& name, Fd socket, Fd network, Fd caller) {
    become_keeper(socket, network, caller);
    const std::string path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(network.get());
    RecordFile file;
    try {
        file.create(name, record);
        PluginCalls calls = record.calls;
        calls.path = path;
        try {
            for (auto& a : record.all) {
                a.begun = true;  // on disk before the plugin is called
                file.write(record);
                a.begun = false;
                attach(a, calls);
                file.write(record);
            }
        } catch (const Error&) {
            try {
                leave_all(record, path);
            } catch (const Error&) {  // the first error is the one that matters
            }
            file.remove();
            throw;
        }
    } catch (const Error& e) {
        answer(socket.get(), e);
        ::_exit(1);
    }
    answer(socket.get(), first_address(record.all));
    const bool asked = wait_for_the_end(socket, caller);
    try {
        leave_all(record, path);
        file.remove();
        if (asked) answer(socket.get(), std::string());
    } catch (const Error& e) {
        // The record stays: the next container with networks tries once more.
        if (asked) answer(socket.get(), e);
    }
    ::_exit(0);
}

std::string new_name() {
    unsigned long long random[2] = {};
    Fd source(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
    if (!source || !receive(source.get(), random, sizeof random)) fail("cannot read", "/dev/urandom");
    char text[40];
    std::snprintf(text, sizeof text, "singularity-%016llx", random[0]);
    return text;
}

// A new network namespace, which this process does not stay in.
Fd make_namespace() {
    const Fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!own) fail("cannot open", "/proc/self/ns/net");
    unshare_rest(CLONE_NEWNET);
    bring_up_loopback();
    Fd made(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (::setns(own.get(), CLONE_NEWNET) != 0) fail("cannot go back to the machine's network namespace");
    if (!made) fail("cannot open", "/proc/self/ns/net");
    return made;
}

}  // namespace

Network::Network(const Spec& spec) {
    if (spec.networks.names.empty()) return;
    if (!can_mount_in_kernel())
        throw Error(Code::permission, "networks are for root of the machine only",
                    "'--network none' gives a container without any");
    Record record;
    record.all = plan_attachments(spec.networks);
    record.calls.plugins = spec.networks.plugins;
    record.machine = own_network();
    (void)records_directory();
    sweep();
    const std::string name = new_name();
    record.calls.container = name;
    record_ = std::string(records) + "/" + name;
    namespace_ = make_namespace();
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("cannot make a socket");
    keeper_ = Fd(ends[0]);
    Fd other(ends[1]);
    Fd self = process_handle(::getpid());
    if (!self) fail("cannot watch over the container's network", {}, errno == ENOSYS ? "this needs Linux 5.3" : "");
    process_ = ::fork();
    if (process_ < 0) fail("cannot start the process that keeps the container's network");
    if (process_ == 0) keep(std::move(record), name, std::move(other), std::move(namespace_), std::move(self));
    other.reset();
    std::optional<std::string> address;
    try {
        address = receive_answer(keeper_.get());
    } catch (...) {
        while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
        }
        throw;
    }
    if (!address) {
        leave();
        throw Error(Code::io, "the process that keeps the container's network was killed");
    }
    address_ = *address;
}

Network::~Network() {
    try {
        leave();
    } catch (const Error& e) {
        host_log.warn("a network could not be taken down: " + e.message());
    }
}

void Network::leave() {
    if (process_ < 0) return;
    const pid_t process = std::exchange(process_, -1);
    const auto word = static_cast<char>(Word::leave);
    (void)::send(keeper_.get(), &word, 1, MSG_NOSIGNAL);
    const auto reap = [&] {
        while (::waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
        }
    };
    bool left = false;
    try {
        left = receive_answer(keeper_.get()).has_value();
    } catch (...) {
        reap();
        throw;
    }
    reap();
    if (!left) finish_network(record_);
}

void Network::join() const {
    if (namespace_ && ::setns(namespace_.get(), CLONE_NEWNET) != 0) fail("cannot join the network namespace");
}

void Network::hand_to(pid_t process) {
    if (process_ < 0) return;
    const auto word = static_cast<char>(Word::watch);
    (void)::send(keeper_.get(), &word, 1, MSG_NOSIGNAL);
    (void)::send(keeper_.get(), &process, sizeof process, MSG_NOSIGNAL);
    (void)receive_answer(keeper_.get());  // otherwise both are gone, and what is owed is done or recorded
    process_ = -1;
}

void finish_network(const std::string& record_path) {
    RecordFile file;
    if (record_path.empty() || !file.take(record_path, true)) return;
    const auto record = file.read();
    if (record && record->machine != own_network()) return;
    file.remove();
    if (record) leave_all(*record, {});
}

}  // namespace launcher
