// Talks to a transport's object over the C boundary only, and starts tests/support/faulty-server.py for it.
#pragma once
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <singularity/transport.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace fixture {

using singularity::Code;
using singularity::Error;

// ---- the host's side ------------------------------------------------------------------------------
inline std::mutex log_mutex;
inline std::vector<std::string> log_lines;
inline std::map<std::string, int64_t> numbers;  // configuration
inline const sg_plugin* transport_plugin = nullptr;  // what the host gives for any scheme

inline std::string log_text() {
    const std::lock_guard lock(log_mutex);
    std::string out;
    for (const auto& l : log_lines) out += l + "\n";
    return out;
}

}  // namespace fixture

// What the plugin sees as the call: a token that can be set once.
struct sg_call {
    std::atomic<bool> set{false};
    int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ~sg_call() { ::close(event); }
    void cancel() {
        set = true;
        const uint64_t one = 1;
        if (::write(event, &one, sizeof one) != sizeof one) std::abort();
    }
};

namespace fixture {

inline const void* host_table(const sg_host*, const char* name, uint32_t version) {
    static const sg_host_log_v1 log = {[](int32_t) -> int32_t { return 1; },
                                       [](int32_t, const char* text) {
                                           const std::lock_guard lock(log_mutex);
                                           log_lines.emplace_back(text);
                                       }};
    static const sg_host_call_v1 call = {[](const sg_call* c) -> int32_t { return c && c->set; },
                                         [](const sg_call* c) -> int32_t { return c ? c->event : -1; },
                                         [](const sg_call*, const char*, uint64_t) -> sg_task* { return nullptr; },
                                         [](sg_task*, uint64_t) {}, [](sg_task*, int32_t) {}};
    static const sg_host_config_v1 config = {[](const char*) -> const char* { return nullptr; },
                                             [](const char* key, int64_t* out) -> int32_t {
                                                 const auto at = numbers.find(key);
                                                 if (at == numbers.end()) return SG_ENOTFOUND;
                                                 *out = at->second;
                                                 return SG_OK;
                                             },
                                             [](const char* key, int32_t* out) -> int32_t {
                                                 const auto at = numbers.find(key);
                                                 if (at == numbers.end()) return SG_ENOTFOUND;
                                                 *out = at->second != 0;
                                                 return SG_OK;
                                             },
                                             [](const char*, uint64_t) -> const char* { return nullptr; }};
    static const sg_host_transport_v1 transport = {[](const char* scheme, const sg_transport_v1** out, sg_error* err) -> int32_t {
        *out = transport_plugin ? static_cast<const sg_transport_v1*>(transport_plugin->table(scheme, "transport", 1)) : nullptr;
        return *out ? SG_OK : singularity::fill(err, Code::not_found, "no transport");
    }};
    if (version != 1) return nullptr;
    if (std::string_view(name) == "transport") return &transport;
    if (std::string_view(name) == "log") return &log;
    if (std::string_view(name) == "call") return &call;
    if (std::string_view(name) == "config") return &config;
    return nullptr;
}

inline const sg_plugin* load_plugin(const char* object) {
    static const sg_host host = {SG_ABI_VERSION, "4.0.0", host_table};
    void* handle = ::dlopen(object, RTLD_NOW | RTLD_LOCAL);
    if (!handle) throw std::runtime_error(::dlerror());
    const auto entry = reinterpret_cast<const sg_plugin* (*)()>(::dlsym(handle, "singularity_plugin"));
    if (!entry) throw std::runtime_error("no entry");
    singularity::check([&](sg_error* e) { return entry()->start(&host, e); });
    return entry();
}

// ---- a server ---------------------------------------------------------------------------------------

class Scratch {
public:
    Scratch() {
        std::string pattern = (std::filesystem::temp_directory_path() / "sg-transport-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
        path_ = pattern;
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }
    std::string write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(path_ + "/" + name).parent_path());
        std::ofstream(path_ + "/" + name) << text;
        return path_ + "/" + name;
    }

private:
    std::string path_;
};

// The server ends with this object, or with the test's process.
class Server {
public:
    explicit Server(std::vector<std::string> arguments = {}) {
        arguments.insert(arguments.begin(), {"python3", SUPPORT "/faulty-server.py", "--log", log_.path() + "/log", "--seed", "1"});
        std::vector<char*> argv;
        for (auto& a : arguments) argv.push_back(a.data());
        argv.push_back(nullptr);
        int in[2], out[2];
        if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        if (::posix_spawnp(&pid_, "python3", &actions, nullptr, argv.data(), environ) != 0) throw std::runtime_error("python3");
        posix_spawn_file_actions_destroy(&actions);
        ::close(in[0]);
        ::close(out[1]);
        life_ = in[1];
        char c;
        while (::read(out[0], &c, 1) == 1 && c != '\n') said_ += c;
        ::close(out[0]);
        if (said_.empty()) throw std::runtime_error("the server did not start");
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() { stop(); }
    void stop() {
        if (life_ < 0) return;
        ::close(life_);
        life_ = -1;
        ::waitpid(pid_, nullptr, 0);
    }
    const std::string& port() const { return said_; }
    std::string url(const std::string& target, const std::string& host = "127.0.0.1") const { return "http://" + host + ":" + said_ + target; }
    std::string tls(const std::string& target, const std::string& host = "localhost") const { return "https://" + host + ":" + said_ + target; }
    std::string log() const {
        std::ifstream in(log_.path() + "/log");
        return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }
    // Requests of an action.
    size_t count(const std::string& action) const {
        const std::string text = log();
        size_t n = 0;
        for (size_t at = 0; (at = text.find("\"action\": \"" + action + "\"", at)) != std::string::npos; ++at) ++n;
        return n;
    }
    // Until it has been asked for that action.
    void until_asked(const std::string& action) const {
        while (count(action) == 0) ::poll(nullptr, 0, 2);
    }

private:
    Scratch log_;
    pid_t pid_ = -1;
    int life_ = -1;
    std::string said_;
};

// What the server sends as `size` bytes.
inline std::string good(size_t size) {
    std::string out(size, '\0');
    for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i % 251);
    return out;
}

// ---- requests ---------------------------------------------------------------------------------------

class TextStream final : public singularity::Stream {
public:
    explicit TextStream(std::vector<std::string> parts) : parts_(std::move(parts)) {}
    singularity::Slice next() override {
        if (at_ == parts_.size()) return {};
        const std::string& p = parts_[at_++];
        return singularity::Slice::borrowed(p.data(), p.size());
    }

private:
    std::vector<std::string> parts_;
    size_t at_ = 0;
};

struct Ask {
    std::string url, method = "GET";
    std::vector<sg_header> headers;
    std::vector<std::string> body;  // parts; none: no body
    uint64_t body_size = SG_SIZE_UNKNOWN, begin = 0, end = SG_SIZE_UNKNOWN;
    uint32_t redirects = 10, connect_ms = 0, idle_ms = 0, total_ms = 0;
    bool verify = true;
    std::string ca, cert, key;
    bool read = true;
};

struct Got {
    unsigned status = 0;
    uint64_t size = 0;
    std::string body, url;
    std::map<std::string, std::string> headers;  // those that tests ask about
    std::vector<size_t> slices;
};

inline sg_request request_of(Ask& a) {
    sg_request r = singularity::plain_request(a.url.c_str());
    r.method = a.method.c_str();
    if (!a.headers.empty()) {
        a.headers.push_back({nullptr, nullptr, 0});
        r.headers = a.headers.data();
    }
    if (!a.body.empty()) r.body = singularity::to_c(std::make_unique<TextStream>(a.body));
    r.body_size = a.body_size;
    r.range_begin = a.begin;
    r.range_end = a.end;
    r.max_redirects = a.redirects;
    r.tls = {a.verify ? 1 : 0, a.ca.c_str(), a.cert.c_str(), a.key.c_str()};
    r.connect_timeout_ms = a.connect_ms;
    r.idle_timeout_ms = a.idle_ms;
    r.total_timeout_ms = a.total_ms;
    return r;
}

inline Got ask(const sg_transport_v1& table, Ask a, const sg_call* call = nullptr) {
    const sg_request r = request_of(a);
    sg_response* raw = nullptr;
    singularity::check([&](sg_error* e) { return table.send(&r, call, &raw, e); });
    singularity::ForeignResponse response(&table, raw);
    Got g;
    g.status = response.status();
    g.size = response.size();
    g.url = response.url();
    for (const char* name : {"Content-Type", "Location", "WWW-Authenticate", "Retry-After", "ETag", "Content-Range"}) g.headers[name] = response.header(name);
    if (!a.read) return g;
    auto body = response.body();
    for (;;) {
        const singularity::Slice s = body->next();
        if (s.size() == 0) break;
        g.slices.push_back(s.size());
        g.body.append(s.text());
    }
    return g;
}

// The Error that `f` throws; fails the test when it throws none.
inline Error error_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const Error& e) {
        BOOST_TEST_MESSAGE(e.message() + " | " + e.hint());
        return e;
    }
    BOOST_FAIL("no error");
    return Error(Code::internal, "");
}

inline bool contains(const std::string& text, const std::string& part) {
    const bool is = text.find(part) != std::string::npos;
    if (!is) BOOST_TEST_MESSAGE("\"" << text << "\" does not contain \"" << part << "\"");
    return is;
}

// Variables that would lead a request elsewhere are gone, and HOME is empty.
struct OwnEnvironment {
    Scratch home;
    OwnEnvironment() {
        for (const char* name : {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
                                 "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD"})
            ::unsetenv(name);
        ::setenv("HOME", home.path().c_str(), 1);
    }
};

class Variable {
public:
    Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { ::unsetenv(name_); }

private:
    const char* name_;
};

}  // namespace fixture
