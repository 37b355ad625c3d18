#include "runtime/environment.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include <fcntl.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

extern char** environ;

namespace sg::runtime {

const char* const default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

namespace {

bool starts_with(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

template <class L>
bool among(std::string_view text, const L& list) {
    return std::any_of(std::begin(list), std::end(list), [&](const auto& x) { return text == x; });
}

bool is_name(std::string_view text) {
    if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
}

// What --cleanenv leaves.
constexpr std::string_view kept_when_clean[] = {"TERM",       "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY",
                                                "all_proxy",  "ALL_PROXY",  "ftp_proxy",  "FTP_PROXY"};
constexpr std::string_view never_passed[] = {"HOME", "PATH", "LD_LIBRARY_PATH"};

constexpr std::string_view prefixes[] = {"SINGULARITYENV_", "APPTAINERENV_"};  // the later wins
constexpr std::string_view reserved[] = {"HOME", "SINGULARITY_SHELL", "APPTAINER_SHELL", "SINGULARITY_APPNAME", "APPTAINER_APPNAME"};

std::string join(const std::vector<std::string>& texts) {
    std::string out;
    for (const auto& t : texts) out += (out.empty() ? "" : ",") + t;
    return out;
}

class Overrides {
public:
    explicit Overrides(std::vector<std::string>& warnings) : warnings_(warnings) {}

    void add(std::string name, std::string value, std::string_view how) {
        if (among(name, reserved)) {
            std::string text = "Overriding " + name + " environment variable with " + std::string(how) + name + " is not permitted";
            if (name == "HOME") text += "; use --home";
            warnings_.push_back(std::move(text));
            return;
        }
        // Applied to PATH by the image's last script.
        if (name == "PREPEND_PATH" || name == "APPEND_PATH" || name == "PATH") name = "SING_USER_DEFINED_" + name;
        if (name == "LD_LIBRARY_PATH") value += ":/.singularity.d/libs";
        const auto it = std::find_if(all_.begin(), all_.end(), [&](const Pair& p) { return p.first == name; });
        if (it != all_.end())
            it->second = std::move(value);
        else
            all_.emplace_back(std::move(name), std::move(value));
    }

    std::vector<Pair> take() { return std::move(all_); }

private:
    std::vector<std::string>& warnings_;
    std::vector<Pair> all_;
};

}  // namespace

Environment container_environment(const LaunchOptions& options, const EnvironmentFacts& facts,
                                  const char* const* environment, const SiteEnvironment& site) {
    Environment out;
    out.evaluate = !options.no_eval;
    Overrides overrides(out.warnings);
    std::map<std::string, std::string> passed;
    std::vector<Pair> by_prefix[2];
    for (const char* const* e = environment; e && *e; ++e) {
        const std::string_view text = *e;
        const size_t equal = text.find('=');
        if (equal == std::string_view::npos) continue;
        const std::string_view name = text.substr(0, equal), value = text.substr(equal + 1);
        bool prefixed = false;
        for (size_t i = 0; i < 2; ++i) {
            if (!starts_with(name, prefixes[i])) continue;
            prefixed = true;
            if (is_name(name.substr(prefixes[i].size()))) by_prefix[i].emplace_back(name.substr(prefixes[i].size()), value);
        }
        if (prefixed || !is_name(name) || among(name, never_passed) || among(name, options.no_environment)) continue;
        if (starts_with(name, "SINGULARITY_") || starts_with(name, "APPTAINER_")) continue;
        if (options.clean_environment && !among(name, kept_when_clean)) continue;
        passed.emplace(name, value);
    }
    for (const auto& [name, value] : site.pairs) overrides.add(name, value, "environment.set ");
    // A user's value for what the site sets; the same value is nobody's harm.
    const auto add = [&](const std::string& name, std::string value, std::string_view how) {
        for (const auto& [known, its] : site.pairs)
            if (known == name && its != value && site.locked) site.locked(std::string(how) + name);
        overrides.add(name, std::move(value), how);
    };
    for (size_t i = 0; i < 2; ++i)
        for (auto& [name, value] : by_prefix[i]) add(name, std::move(value), prefixes[i]);
    for (const auto& [name, value] : options.file_environment) add(name, value, "--env-file ");
    for (const auto& [name, value] : options.environment) add(name, value, "--env ");
    out.overrides = overrides.take();

    if (options.clean_environment) passed["LANG"] = "C";
    passed["HOME"] = facts.home;
    passed["PATH"] = default_path;
    const auto both = [&](const std::string& name, const std::string& value) {
        passed["SINGULARITY_" + name] = value;
        passed["APPTAINER_" + name] = value;
    };
    both("CONTAINER", facts.image);
    both("NAME", facts.image.substr(facts.image.rfind('/') + 1));
    both("BIND", join(facts.bind_destinations));
    both("COMMAND", options.action);
    both("ENVIRONMENT", "/.singularity.d/env/91-environment.sh");
    if (options.instance) both("INSTANCE", options.instance->name);
    if (!options.app.empty()) both("APPNAME", options.app);
    if (!options.shell.empty()) both("SHELL", options.shell);
    if (options.no_eval) both("NO_EVAL", "1");
    for (const char* const* e = environment; e && *e; ++e)
        if (starts_with(*e, "PATH=")) passed["USER_PATH"] = *e + 5;
    for (const auto& [name, value] : passed) out.host.push_back(name + "=" + value);
    return out;
}

std::vector<Pair> parse_env_option(const std::string& text) {
    std::vector<Pair> out;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string part = text.substr(at, end - at);
        const size_t equal = part.find('=');
        if (equal != std::string::npos && is_name(std::string_view(part).substr(0, equal)))
            out.emplace_back(part.substr(0, equal), part.substr(equal + 1));
        else if (!out.empty())
            out.back().second += "," + part;  // a comma in a value
        else
            throw Error(Code::usage, "--env " + text + (equal == std::string::npos ? ": the form is NAME=VALUE" : ": '" + part.substr(0, equal) + "' is no name of a variable"),
                        equal == std::string::npos ? "" : "names are made of letters, digits and '_', and begin with no digit");
        at = end + 1;
    }
    return out;
}

namespace {

// The host's variables can be used in an environment file (DATA=$HOME/data), but are not what it sets: they lose their
// export, so that those which the file assigns, by `set -a`, and no others are printed at the end.
constexpr const char* evaluate_file = R"(f=$1; shift
for sg_n; do eval "sg_v=\$$sg_n; unset $sg_n; $sg_n=\$sg_v"; done 2>/dev/null
set --
set -a
. "$f" >&2 || exit 1
exec /usr/bin/env -0)";

// What shells set for themselves, or let nobody set.
constexpr std::string_view of_the_shell[] = {"_",    "PWD",  "OLDPWD",    "SHLVL",    "PPID",          "UID",   "EUID", "IFS", "OPTIND", "SHELLOPTS",
                                             "BASH", "ENV", "BASHOPTS", "BASH_ENV", "BASH_VERSINFO", "GROUPS"};

}  // namespace

std::vector<Pair> read_env_file(const std::string& path, const char* const* environment) {
    if (::access(path.c_str(), R_OK) != 0) throw_errno("cannot read the environment file", path);
    struct stat s;
    if (::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode)) throw Error(Code::invalid, "the environment file " + path + " is a directory");
    const std::string absolute = path[0] == '/' ? path : "./" + path;
    const bool bash = ::access("/bin/bash", X_OK) == 0;  // as in Apptainer lists may be used
    const char* const program = bash ? "/bin/bash" : "/bin/sh";
    std::vector<std::string> words = {bash ? "bash" : "sh", "-c", evaluate_file, bash ? "bash" : "sh", absolute};
    std::vector<const char*> argv, env;
    bool has_path = false;
    for (const char* const* e = environment; e && *e; ++e) {
        const std::string_view text = *e, name = text.substr(0, text.find('='));
        if (!is_name(name) || among(name, of_the_shell)) continue;
        has_path = has_path || name == "PATH";
        words.emplace_back(name);
        env.push_back(*e);
    }
    const std::string search = std::string("PATH=") + default_path;
    if (!has_path) env.push_back(search.c_str()), words.emplace_back("PATH");
    env.push_back(nullptr);
    for (const auto& w : words) argv.push_back(w.c_str());
    argv.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    UniqueFd reader(ends[0]), writer(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) throw_errno("cannot start", program);
    if (child == 0) {
        ::dup2(writer.get(), 1);
        ::execve(program, const_cast<char* const*>(argv.data()), const_cast<char* const*>(env.data()));
        ::_exit(127);
    }
    writer.reset();
    std::string text;
    char buffer[16384];
    ssize_t n = 0;
    while ((n = ::read(reader.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0) text.append(buffer, static_cast<size_t>(n));
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw Error(Code::invalid, std::string(program) + " cannot evaluate the environment file " + path,
                    "it is read as a shell script: values with blanks or special characters stand in quotes, unlike in Docker's files");
    std::vector<Pair> out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\0', at), text.size());
        const std::string entry = text.substr(at, end - at);
        const size_t equal = entry.find('=');
        const std::string name = entry.substr(0, equal);
        if (equal != std::string::npos && is_name(name) && !among(name, of_the_shell)) out.emplace_back(name, entry.substr(equal + 1));
        at = end + 1;
    }
    return out;
}

}  // namespace sg::runtime
