#include "cli/module_client.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <functional>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "base/whole_io.hpp"
#include "cli/module.h"

namespace sg {

namespace {

// Bound lazily: most of what a module imports is not called by one command, and a start waits for each binding.
void* load(const std::string& module) {
    void* handle = dlopen(module.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (!handle) {
        const char* told = dlerror();
        const std::string why = told ? told : "unknown reason";
        // "libx.so.1: cannot open shared object file": not the module, but a library of the machine that it needs.
        const bool library = why.find(": cannot open shared object file") != std::string::npos && !why.starts_with(module);
        throw Error(Code::unsupported, "cannot load " + module + ": " + why,
                    library ? "This machine lacks that library: install the package that brings it ('ldd " + module + "' lists all that are missing)."
                            : "This installation is incomplete: install it again.");
    }
    return handle;
}

template <class F>
F entry(const std::string& module, const char* name) {
    const auto f = reinterpret_cast<F>(dlsym(load(module), name));
    if (!f)
        throw Error(Code::unsupported, module + " has no entry " + name,
                    "This installation is incomplete: install it again.");
    return f;
}

struct CContext {
    std::vector<std::string> texts;
    std::vector<const char*> pointers;
    sg_module_context c{};

    explicit CContext(const Context& context) {
        for (const auto& s : context.global.settings) texts.push_back(s);
        for (const auto& t : texts) pointers.push_back(t.c_str());
        pointers.push_back(nullptr);
        c.abi = SG_MODULE_ABI;
        c.executable = context.installation.executable.c_str();
        c.index = context.index.bytes().data();
        c.index_size = context.index.bytes().size();
        c.settings = pointers.data();
        c.mount = context.mount;
        c.log_threshold = static_cast<int32_t>(log::threshold());
        c.colour = context.global.plain ? 0 : 1;
        c.json = context.global.json ? 1 : 0;
    }
};

// What the child reports; small enough to be written in one piece.
struct Answer {
    int32_t code, temporary;
    char path[PATH_MAX];
    sg_error error;
};

std::atomic<pid_t> child{0};
void pass_on(int number) {
    if (const pid_t pid = child.load(); pid > 0) kill(pid, number);
}

// An image that nothing keeps lives as long as this process holds it open: whatever ends us, it is gone. The
// descriptor is closed by the exec of the container's process, when the image has been mounted.
std::string held(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw_errno("cannot open", path);
    unlink(path.c_str());
    rmdir(path.substr(0, path.rfind('/')).c_str());
    return "/proc/self/fd/" + std::to_string(fd.release());
}

// What the module is asked for in the child; fills the answer's path.
using Request = std::function<int32_t(const sg_module_context& context, Answer& answer)>;

[[noreturn]] void answer_and_exit(int out, const Context& context, const Request& request) {
    static Answer answer{};
    answer.code = singularity::guard(&answer.error, [&]() -> int32_t {
        const CContext c(context);
        return request(c.c, answer);
    });
    const auto* at = reinterpret_cast<const char*>(&answer);
    for (size_t done = 0; done < sizeof answer;) {
        const ssize_t n = ::write(out, at + done, sizeof answer - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += static_cast<size_t>(n);
    }
    _exit(0);
}

}  // namespace

int run_in_module(const std::string& verb, const std::vector<std::string>& arguments, const Context& context) {
    const auto run = entry<sg_module_main_fn>(context.installation.module, "sg_module_main");
    std::vector<std::string> texts{verb};
    texts.insert(texts.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& t : texts) argv.push_back(t.data());
    argv.push_back(nullptr);
    const CContext c(context);
    return run(static_cast<int>(texts.size()), argv.data(), &c.c);
}

std::function<const sg_host_credentials_v2&()> credentials_of(const Context& context, const CancelToken& cancel) {
    return [&context, &cancel]() -> const sg_host_credentials_v2& {
        const auto find = entry<sg_module_credentials_fn>(context.installation.module, "sg_module_credentials");
        const CContext c(context);
        const sg_host_credentials_v2* table = find(&c.c, cancel.fd());
        if (!table) throw Error(Code::not_found, "this build keeps no credentials");
        return *table;
    };
}

std::function<const sg_host_definition_v1&()> definitions_of(const Context& context) {
    return [&context]() -> const sg_host_definition_v1& {
        const auto find = entry<sg_module_definitions_fn>(context.installation.module, "sg_module_definitions");
        const CContext c(context);
        const sg_host_definition_v1* table = find(&c.c);
        if (!table) throw Error(Code::unsupported, "this build reads no definition files");
        return *table;
    };
}

std::function<const sg_host_state_v1*()> state_of(const Context& context, const Settings&) {
    return [&context] {
        const auto find = entry<sg_module_state_fn>(context.installation.module, "sg_module_state");
        const CContext c(context);
        return find(&c.c);
    };
}

namespace {

// The path that the request gives, asked for in a child process. `doing`: "fetch", `what` as the user knows it.
std::string ask_in_child(const Context& context, const Request& request, const std::string& doing,
                         const std::string& what) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    UniqueFd reading(ends[0]), writing(ends[1]);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) throw_errno("cannot start a process", "");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(255);
        reading.reset();
        answer_and_exit(writing.get(), context, request);
    }
    writing.reset();
    child.store(pid);
    // The terminal sends its signals to both; ones sent to us alone are passed on. We go on waiting in any case.
    constexpr int passed[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
    struct sigaction action {
    }, before[4];
    action.sa_handler = pass_on;
    for (int i = 0; i < 4; ++i) sigaction(passed[i], &action, &before[i]);
    Answer answer{};
    const bool whole = read_exactly(reading.get(), &answer, sizeof answer);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    child.store(0);
    for (int i = 0; i < 4; ++i) sigaction(passed[i], &before[i], nullptr);
    if (!whole) {
        // A crash has printed its line already.
        if (WIFEXITED(status) && WEXITSTATUS(status) == 255)
            throw Error(Code::internal, "cannot " + doing + " " + what);
        throw Error(Code::cancelled,
                    doing + "ing " + what + " was " +
                        (WIFSIGNALED(status) ? std::string("ended by signal ") + std::to_string(WTERMSIG(status))
                                             : std::string("interrupted")));
    }
    if (answer.code != SG_OK)
        throw Error(static_cast<Code>(answer.code), answer.error.message, answer.error.hint, answer.error.detail);
    return answer.temporary ? held(answer.path) : answer.path;
}

}  // namespace

std::string fetch_in_child(const Context& context, const std::string& uri, const Pairs& options) {
    const Request request = [&](const sg_module_context& c, Answer& answer) {
        std::vector<sg_pair> pairs;
        for (const auto& [k, v] : options) pairs.push_back({k.c_str(), v.c_str()});
        pairs.push_back({nullptr, nullptr});
        // What is in the cache needs nothing of the big module; what is not goes on with the answer, the connection and
        // the tokens that the look-up got, for the plugins that it loaded stay.
        const auto look = entry<sg_module_look_fn>(context.installation.lookup, "sg_module_look");
        sg_identity known{};
        int32_t asked = 0;
        const int32_t code =
            look(&c, uri.c_str(), pairs.data(), &known, &asked, answer.path, sizeof answer.path, &answer.error);
        if (code != SG_OK || answer.path[0]) return code;
        const auto fetch = entry<sg_module_fetch_fn>(context.installation.module, "sg_module_fetch");
        return fetch(&c, uri.c_str(), pairs.data(), asked ? &known : nullptr, answer.path, sizeof answer.path,
                     &answer.temporary, &answer.error);
    };
    return ask_in_child(context, request, "fetch", uri);
}

std::string unpack_in_child(const Context& context, const std::string& image) {
    const Request request = [&](const sg_module_context& c, Answer& answer) {
        const auto unpack = entry<sg_module_unpack_fn>(context.installation.module, "sg_module_unpack");
        return unpack(&c, image.c_str(), answer.path, sizeof answer.path, &answer.error);
    };
    return ask_in_child(context, request, "unpack", image);
}

std::string digest_in_child(const Context& context, const std::string& file) {
    const Request request = [&](const sg_module_context&, Answer& answer) {
        const auto digest = entry<sg_module_digest_fn>(context.installation.module, "sg_module_digest");
        return digest(file.c_str(), answer.path, sizeof answer.path, &answer.error);
    };
    return ask_in_child(context, request, "read", file);
}

void unpack_plugin_in_child(const Context& context, const std::string& archive, const std::string& into) {
    const Request request = [&](const sg_module_context&, Answer& answer) {
        const auto unpack = entry<sg_module_unpack_plugin_fn>(context.installation.module, "sg_module_unpack_plugin");
        return unpack(archive.c_str(), into.c_str(), &answer.error);
    };
    ask_in_child(context, request, "unpack", archive);
}

}  // namespace sg
