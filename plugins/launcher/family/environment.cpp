#include "family/environment.hpp"

#include <dirent.h>

#include <algorithm>

#include "family/system.hpp"

namespace launcher {

const char* const default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

namespace {

const singularity::Host host_log;
constexpr size_t script_limit = 1u << 20;
const char* const script_directory = "/.singularity.d/env";

bool in(const std::string& name, std::initializer_list<const char*> names) {
    for (const char* n : names)
        if (name == n) return true;
    return false;
}

// Of the host's variables the scripts see only these; three of them they cannot change.
bool seen_by_scripts(const std::string& k) {
    return in(k, {"PWD", "HOME", "OPTIND", "UID", "GID", "SINGULARITY_APPNAME", "SINGULARITY_SHELL", "APPTAINER_APPNAME", "APPTAINER_SHELL"});
}
bool fixed_for_scripts(const std::string& k) {
    return in(k, {"SINGULARITY_NAME", "SINGULARITY_CONTAINER", "SINGULARITY_INSTANCE", "APPTAINER_NAME", "APPTAINER_CONTAINER", "APPTAINER_INSTANCE"});
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The regular files /.singularity.d/env/*.sh in byte order; before 2.3 images had /environment alone.
std::vector<std::string> find_scripts() {
    std::vector<std::string> out;
    struct stat s;
    if (DIR* dir = ::opendir(script_directory)) {
        while (const dirent* e = ::readdir(dir)) {
            const std::string name = e->d_name;
            if (name[0] == '.' || name.size() < 4 || name.compare(name.size() - 3, 3, ".sh") != 0) continue;
            const std::string path = std::string(script_directory) + "/" + name;
            if (e->d_type != DT_REG && (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode))) continue;
            out.push_back(path);
        }
        ::closedir(dir);
        std::sort(out.begin(), out.end());
    } else if (::stat("/environment", &s) == 0 && S_ISREG(s.st_mode)) {
        out.push_back("/environment");
    }
    return out;
}

std::string quoted(const std::string& text) {  // 'text' for a shell
    std::string out = "'";
    for (const char c : text)
        if (c == '\'') out += "'\\''";
        else out.push_back(c);
    return out + "'";
}

std::string double_quotes_escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '"') out.push_back('\\');
        out.push_back(c);
    }
    return out;
}

bool is_base(const std::string& name) { return name == "99-base.sh"; }
// Scripts that were written by the image's maker and may extend a PATH.
bool wants_path(const std::string& name) { return name == "90-environment.sh" || name == "environment"; }
bool is_docker(const std::string& name) { return name == "10-docker2singularity.sh" || name == "10-docker.sh"; }

// The place of the user's definitions: after 99-base.sh; without it before 99-runtimevars.sh, else at the end.
size_t injection_point(const std::vector<std::string>& scripts) {
    for (size_t i = 0; i < scripts.size(); ++i)
        if (is_base(base_name(scripts[i]))) return i + 1;
    for (size_t i = 0; i < scripts.size(); ++i)
        if (base_name(scripts[i]) == "99-runtimevars.sh") return i;
    return scripts.size();
}

bool has_runtime_variables(const std::vector<std::string>& scripts) {
    return std::any_of(scripts.begin(), scripts.end(), [](const auto& s) { return base_name(s) == "99-runtimevars.sh"; });
}

// What 99-runtimevars.sh does, for images that lack it.
const char* const runtime_variables =
    "if [ -n \"${SING_USER_DEFINED_PREPEND_PATH:-}\" ]; then PATH=\"${SING_USER_DEFINED_PREPEND_PATH}:${PATH}\"; fi\n"
    "if [ -n \"${SING_USER_DEFINED_APPEND_PATH:-}\" ]; then PATH=\"${PATH}:${SING_USER_DEFINED_APPEND_PATH}\"; fi\n"
    "if [ -n \"${SING_USER_DEFINED_PATH:-}\" ]; then PATH=\"${SING_USER_DEFINED_PATH}\"; fi\n"
    "unset SING_USER_DEFINED_PREPEND_PATH SING_USER_DEFINED_APPEND_PATH SING_USER_DEFINED_PATH\n";

void inject(const Spec& spec, Interpreter& shell) {
    for (const auto& [name, value] : spec.overrides) {
        if (!is_name(name) || in(name, {"UID", "GID"})) continue;
        // "...\" at the end would be an open quote for a shell too.
        shell.assign(name, spec.evaluate ? shell.expand_quoted(value) : value, true);
    }
}

Outcome outcome_of(const Interpreter& shell) {
    Outcome out;
    for (const auto& [name, v] : shell.variables) {
        out.set.push_back(name);
        if (v.exported) out.exported.emplace(name, v.value);
    }
    return out;
}

void print(const std::vector<std::pair<int, std::string>>& output) {
    for (const auto& [fd, text] : output) {
        size_t done = 0;
        while (done < text.size()) {
            const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
            if (n <= 0) return;
            done += static_cast<size_t>(n);
        }
    }
}

// No shell in the image: each script on its own, those that are beyond us left out with a warning.
Outcome evaluate_leniently(const Spec& spec, const Variables& host, const std::vector<std::string>& scripts) {
    std::vector<std::string> usable;
    for (const auto& s : scripts) {
        usable.push_back(s);
        try {
            (void)evaluate_scripts(spec, host, usable);
        } catch (const NotUnderstood& e) {
            usable.pop_back();
            host_log.warn("the image has no shell for " + s + ", its variables are not set (it needs " + e.what + ")");
        }
    }
    try {
        return evaluate_scripts(spec, host, usable);
    } catch (const NotUnderstood& e) {
        Spec plain = spec;
        plain.evaluate = false;
        host_log.warn("the image has no shell to evaluate SINGULARITYENV_ values with: they are taken as they are");
        return evaluate_scripts(plain, host, usable);
    }
}

}  // namespace

Variables split_environment(const std::vector<std::string>& texts) {
    Variables out;
    for (const auto& t : texts) {
        const size_t equal = t.find('=');
        if (equal == std::string::npos || !is_name(std::string_view(t).substr(0, equal))) continue;
        out[t.substr(0, equal)] = t.substr(equal + 1);
    }
    return out;
}

std::string complete_path(const std::string& path) {
    std::string out = path;
    const std::string defaults = default_path;
    for (size_t at = 0; at < defaults.size();) {
        const size_t end = std::min(defaults.find(':', at), defaults.size());
        const std::string directory = defaults.substr(at, end - at);
        if ((":" + out + ":").find(":" + directory + ":") == std::string::npos) out += (out.empty() ? "" : ":") + directory;
        at = end + 1;
    }
    return out;
}

Outcome evaluate_scripts(const Spec& spec, const Variables& host, const std::vector<std::string>& scripts) {
    Interpreter shell;
    for (const auto& [name, value] : host) {
        if (!seen_by_scripts(name) && !fixed_for_scripts(name)) continue;
        Variable& v = shell.variables[name];
        v = {value, true, fixed_for_scripts(name)};
    }
    const size_t point = injection_point(scripts);
    try {
        for (size_t i = 0; i <= scripts.size(); ++i) {
            if (i == point) inject(spec, shell);
            if (i == scripts.size()) break;
            const std::string name = base_name(scripts[i]);
            if (wants_path(name) && shell.get("PATH").empty()) shell.assign("PATH", default_path, true);
            shell.run(read_file(AT_FDCWD, scripts[i], script_limit));
            if (is_docker(name)) shell.assign("PATH", complete_path(shell.get("PATH")), true);
        }
        if (!has_runtime_variables(scripts)) {
            if (!shell.is_set("PATH")) shell.assign("PATH", default_path, true);
            shell.run(runtime_variables);
        }
    } catch (const ScriptExit& e) {
        print(shell.output);
        Outcome out;
        out.exited = true;
        out.status = e.status;
        return out;
    } catch (const ScriptExec&) {
        throw NotUnderstood{"exec in a script of the environment"};
    }
    print(shell.output);
    return outcome_of(shell);
}

// The driver for a real shell: the same order of steps, written out.
std::string shell_driver(const Spec& spec, const Variables& host, const std::vector<std::string>& scripts, const std::string& marker) {
    std::string text = "unset PATH PS1\n";  // dash and busybox begin with a prompt of their own
    // By `command` it goes on where something is not in the shell's language (bash's lists in an image with busybox alone).
    text += "command : 2>/dev/null && SG_COMMAND__=command\n";
    const auto guarded = [](const std::string& call) { return "${SG_COMMAND__:-} " + call + "\n"; };
    for (const auto& [name, value] : host)
        if (fixed_for_scripts(name)) text += "readonly " + name + "\n";
    const size_t point = injection_point(scripts);
    for (size_t i = 0; i <= scripts.size(); ++i) {
        if (i == point)
            for (const auto& [name, value] : spec.overrides)
                if (is_name(name) && !in(name, {"UID", "GID"}))
                    text += spec.evaluate ? guarded("eval " + quoted("export " + name + "=\"" + double_quotes_escaped(value) + "\""))
                                          : "export " + name + "=" + quoted(value) + "\n";
        if (i == scripts.size()) break;
        const std::string name = base_name(scripts[i]);
        if (wants_path(name)) text += "if [ -z \"${PATH:-}\" ]; then export PATH=" + std::string(default_path) + "; fi\n";
        text += guarded(". " + quoted(scripts[i]));
        if (is_docker(name)) {
            text += "export PATH\n";
            const std::string defaults = default_path;
            for (size_t at = 0; at < defaults.size();) {
                const size_t end = std::min(defaults.find(':', at), defaults.size());
                const std::string directory = defaults.substr(at, end - at);
                text += "case \":${PATH:-}:\" in *:" + directory + ":*) ;; *) PATH=\"${PATH:-}${PATH:+:}" + directory + "\" ;; esac\n";
                at = end + 1;
            }
        }
    }
    if (!has_runtime_variables(scripts))
        text += "if [ -z \"${PATH+x}\" ]; then export PATH=" + std::string(default_path) + "; fi\n" + runtime_variables;
    text += "export -p >&9\n";
    text += "echo " + quoted(marker) + " >&9\n";
    text += "umask >&9\n";
    for (const auto& [name, value] : host) text += "echo \"${" + name + "+" + name + "}\" >&9\n";
    text += "echo " + quoted(marker) + " >&9\n";
    return text;
}

Variables restore(const Variables& host, const Outcome& outcome) {
    Variables out = outcome.exported;
    for (const auto& [name, value] : host) {
        const auto mine = out.find(name);
        if (mine != out.end()) {
            if (mine->second.empty()) out.erase(mine);
        } else if (std::find(outcome.set.begin(), outcome.set.end(), name) == outcome.set.end()) {
            out.emplace(name, value);
        }
    }
    std::string& prompt = out["PS1"];
    if (prompt.empty()) prompt = "Singularity> ";
    // A bash start-up file of the image must not change the prompt: it is put back before the first one.
    const auto command = out.find("PROMPT_COMMAND");
    const std::string before = command == out.end() ? std::string() : command->second;
    out["PROMPT_COMMAND"] = "PS1=" + quoted(prompt) + "; " + (before.empty() ? "unset PROMPT_COMMAND" : "PROMPT_COMMAND=" + quoted(before));
    return out;
}

// Images name the directory of the host's driver libraries in LD_LIBRARY_PATH, and know none for those of 32 bits.
void add_32_bit_libraries(const Spec& spec, Variables& variables) {
    constexpr std::string_view directory = "/.singularity.d/libs32";
    const auto below = [&](const Mount& m) { return m.destination.starts_with(directory) && m.destination.size() > directory.size() && m.destination[directory.size()] == '/'; };
    if (std::none_of(spec.mounts.begin(), spec.mounts.end(), below)) return;
    std::string& path = variables["LD_LIBRARY_PATH"];
    path += (path.empty() ? "" : ":") + std::string(directory);
}

ContainerEnvironment container_environment(const Spec& spec) {
    const Variables host = split_environment(spec.environment);
    const std::vector<std::string> scripts = find_scripts();
    Outcome outcome;
    try {
        outcome = evaluate_scripts(spec, host, scripts);
    } catch (const NotUnderstood& e) {
        // bash first: other runtimes evaluate these scripts with an interpreter that follows bash.
        std::string shell;
        for (const char* path : {"/bin/bash", "/bin/sh"})
            if (shell.empty() && ::access(path, X_OK) == 0) shell = path;
        if (shell.empty()) {
            outcome = evaluate_leniently(spec, host, scripts);
        } else {
            host_log.debug("the image's environment is evaluated by its " + shell + " (" + e.what + ")");
            outcome = evaluate_with_shell(spec, host, scripts, shell);
        }
    }
    ContainerEnvironment out;
    out.exited = outcome.exited;
    out.status = outcome.status;
    out.umask = outcome.umask;
    if (!out.exited) out.variables = restore(host, outcome), add_32_bit_libraries(spec, out.variables);
    return out;
}

}  // namespace launcher
