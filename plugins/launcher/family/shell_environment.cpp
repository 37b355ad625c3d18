// The image's own shell evaluates its environment scripts: environment.hpp, evaluate_with_shell.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <charconv>

#include "family/environment.hpp"
#include "family/system.hpp"

namespace launcher {

std::string shell_driver(const Spec& spec, const Variables& host, const std::vector<std::string>& scripts, const std::string& marker);

namespace {

constexpr int result_fd = 9;  // the highest that every shell can redirect to
constexpr size_t result_limit = 16u << 20;

bool passed_to_scripts(const std::string& k) {
    for (const char* n : {"PWD", "HOME", "OPTIND", "UID", "GID", "SINGULARITY_APPNAME", "SINGULARITY_SHELL", "SINGULARITY_NAME",
                          "SINGULARITY_CONTAINER", "SINGULARITY_INSTANCE", "APPTAINER_APPNAME", "APPTAINER_SHELL", "APPTAINER_NAME",
                          "APPTAINER_CONTAINER", "APPTAINER_INSTANCE"})
        if (k == n) return true;
    return false;
}

int64_t now_ms() {
    timespec t;
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1000000;
}

// Reads until both markers were seen, the end, or the deadline.
std::string read_result(int fd, const std::string& marker, int64_t deadline, bool& late) {
    std::string out;
    char buffer[16384];
    const std::string line = marker + "\n";
    for (;;) {
        const size_t first = out.find(line);
        if (first != std::string::npos && out.find(line, first + line.size()) != std::string::npos) return out;
        const int64_t left = deadline - now_ms();
        pollfd p{fd, POLLIN, 0};
        const int n = ::poll(&p, 1, left > 0 ? static_cast<int>(left) : 0);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) {
            late = true;
            return out;
        }
        const ssize_t got = ::read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return out;
        out.append(buffer, static_cast<size_t>(got));
        if (out.size() > result_limit) throw Error(Code::limit, "the image's scripts made an environment of more than 16 MiB");
    }
}

// One value of `export -p`: quotes of every kind, up to the end of the line.
std::string take_value(std::string_view text, size_t& at) {
    std::string out;
    while (at < text.size() && text[at] != '\n') {
        const char c = text[at++];
        if (c == '\'') {
            while (at < text.size() && text[at] != '\'') out.push_back(text[at++]);
            ++at;
        } else if (c == '"') {
            while (at < text.size() && text[at] != '"') {
                if (text[at] == '\\' && at + 1 < text.size() && std::string_view("\"\\$`\n").find(text[at + 1]) != std::string_view::npos) ++at;
                out.push_back(text[at++]);
            }
            ++at;
        } else if (c == '$' && at < text.size() && text[at] == '\'') {
            ++at;
            while (at < text.size() && text[at] != '\'') {
                if (text[at] != '\\' || at + 1 >= text.size()) {
                    out.push_back(text[at++]);
                    continue;
                }
                const char e = text[at + 1];
                at += 2;
                const size_t known = std::string_view("abefnrtvE").find(e);
                if (known != std::string_view::npos) {
                    out.push_back("\a\b\x1b\f\n\r\t\v\x1b"[known]);
                } else if (e >= '0' && e <= '7') {
                    int value = e - '0';
                    for (int i = 0; i < 2 && at < text.size() && text[at] >= '0' && text[at] <= '7'; ++i) value = value * 8 + (text[at++] - '0');
                    out.push_back(static_cast<char>(value));
                } else {
                    out.push_back(e);
                }
            }
            ++at;
        } else if (c == '\\' && at < text.size()) {
            out.push_back(text[at++]);
        } else {
            out.push_back(c);
        }
    }
    return out;
}

}  // namespace

Variables parse_exports(std::string_view text) {
    Variables out;
    size_t at = 0;
    while (at < text.size()) {
        // "export NAME", "export NAME=VALUE", "declare -x NAME=VALUE", "typeset -x NAME=VALUE"
        size_t word = at;
        for (;;) {
            const size_t end = std::min(text.find_first_of(" =\n", word), text.size());
            const std::string_view w = text.substr(word, end - word);
            if (end < text.size() && text[end] == ' ' && (w == "export" || w == "declare" || w == "typeset" || (!w.empty() && w[0] == '-'))) {
                word = end + 1;
                continue;
            }
            const std::string name(w);
            at = end;
            if (end < text.size() && text[end] == '=') {
                ++at;
                std::string value = take_value(text, at);
                if (is_name(name)) out[name] = std::move(value);
            } else {
                while (at < text.size() && text[at] != '\n') ++at;
            }
            if (at < text.size()) ++at;
            break;
        }
    }
    return out;
}

Outcome evaluate_with_shell(const Spec& spec, const Variables& host, const std::vector<std::string>& scripts, const std::string& shell) {
    const std::string marker = "#end-of-environment-" + std::to_string(::getpid());
    const std::string driver = shell_driver(spec, host, scripts, marker);
    std::vector<std::string> environment;
    for (const auto& [name, value] : host)
        if (passed_to_scripts(name)) environment.push_back(name + "=" + value);
    std::vector<char*> env;
    for (auto& e : environment) env.push_back(e.data());
    env.push_back(nullptr);
    const std::string zero = "sh", dash_c = "-c";
    char* const argv[] = {const_cast<char*>(zero.c_str()), const_cast<char*>(dash_c.c_str()), const_cast<char*>(driver.c_str()), nullptr};

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("cannot make a pipe");
    Fd reader(ends[0]), writer(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) fail("cannot start the image's shell");
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (writer.get() == result_fd)
            (void)::fcntl(result_fd, F_SETFD, 0);
        else
            (void)::dup2(writer.get(), result_fd);
        ::execve(shell.c_str(), argv, env.data());
        ::_exit(127);
    }
    writer.reset();
    bool late = false;
    const std::string result = read_result(reader.get(), marker, now_ms() + static_cast<int64_t>(spec.timeout) * 1000, late);
    if (late) ::kill(child, SIGKILL);
    reader.reset();
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (late)
        throw Error(Code::timeout, "the image's environment scripts did not end within " + std::to_string(spec.timeout) + " seconds",
                    "--runscript-timeout gives them more time");
    Outcome out;
    const size_t first = result.find(marker + "\n");
    if (first == std::string::npos) {
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && result.empty())
            throw Error(Code::not_found, "cannot run " + shell + " of the image for its environment scripts", "a shared library is likely missing in the image");
        if (WIFSIGNALED(status))
            throw Error(Code::invalid, "the image's environment scripts failed: " + shell + " was ended by signal " + std::to_string(WTERMSIG(status)),
                        "'singularity inspect --environment IMAGE' shows them");
        out.exited = true;
        out.status = WEXITSTATUS(status);
        return out;
    }
    out.exported = parse_exports(std::string_view(result).substr(0, first));
    // The shell's own book-keeping is nobody's environment.
    for (const char* name : {"_", "SHLVL", "OLDPWD"}) out.exported.erase(name);
    for (const auto& [name, value] : out.exported) out.set.push_back(name);
    size_t at = first + marker.size() + 1;
    unsigned mask = 0;
    const auto number = std::from_chars(result.data() + at, result.data() + result.size(), mask, 8);
    if (number.ec == std::errc() && *number.ptr == '\n' && mask <= 0777) out.umask = mask;
    while (at < result.size()) {
        const size_t end = std::min(result.find('\n', at), result.size());
        const std::string name = result.substr(at, end - at);
        if (is_name(name) && name != "_" && name != "SHLVL" && name != "OLDPWD") out.set.push_back(name);
        at = end + 1;
    }
    return out;
}

}  // namespace launcher
