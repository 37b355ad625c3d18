#include "family/action.hpp"

#include <elf.h>
#include <sys/statvfs.h>

#include <cstring>

#include "family/system.hpp"

namespace launcher {
namespace {

const singularity::Host host_log;

bool executable(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

bool is_file(const std::string& path) {
    struct stat s;
    return ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode);
}

CommandLine with(std::vector<std::string> first, const std::vector<std::string>& arguments) {
    first.insert(first.end(), arguments.begin(), arguments.end());
    return {std::move(first), false};
}

CommandLine shell(const std::vector<std::string>& arguments, Variables& variables) {
    if (executable("/bin/bash")) {
        variables["SHELL"] = "/bin/bash";
        return with({"/bin/bash", "--norc"}, arguments);
    }
    if (executable("/bin/sh")) {
        variables["SHELL"] = "/bin/sh";
        return with({"/bin/sh"}, arguments);
    }
    throw Error(Code::not_found, "/bin/sh doesn't exist in container", "exec runs a program of the image without a shell");
}

CommandLine runscript(const std::string& path, const std::vector<std::string>& arguments, Variables& variables) {
    std::string text;
    try {
        text = read_file(AT_FDCWD, path, 1u << 20);
    } catch (const Error&) {
        return with({path}, arguments);  // execute-only: the kernel can still run it
    }
    if (!is_oci_runscript(text)) return with({path}, arguments);
    // The image names neither an entrypoint nor a command: people get a shell (seed row D4).
    const bool names_nothing = text.find("\nOCI_ENTRYPOINT=''\n") != std::string::npos && text.find("\nOCI_CMD=''\n") != std::string::npos;
    if (names_nothing && arguments.empty()) return shell({}, variables);
    try {
        auto words = interpret_runscript(path, arguments, variables);
        if (words.empty()) return shell({}, variables);
        return {std::move(words), true};
    } catch (const NotUnderstood& e) {
        host_log.debug(path + " is run by the image's shell (" + e.what + ")");
        return with({path}, arguments);
    }
}

CommandLine run(const Spec& spec, Variables& variables) {
    if (!spec.app.empty()) {
        const std::string path = "/scif/apps/" + spec.app + "/scif/runscript";
        if (executable(path)) return with({path}, spec.arguments);
        throw Error(Code::not_found, "no runscript for contained app: " + spec.app);
    }
    if (executable("/.singularity.d/runscript")) return runscript("/.singularity.d/runscript", spec.arguments, variables);
    if (executable("/singularity") && is_file("/singularity")) return runscript("/singularity", spec.arguments, variables);
    host_log.info("No runscript found in container, executing /bin/sh");
    if (!executable("/bin/sh")) throw Error(Code::not_found, "/bin/sh doesn't exist in container", "the image has neither a runscript nor a shell");
    return with({"/bin/sh"}, spec.arguments);
}

CommandLine test(const Spec& spec) {
    const std::string path = spec.app.empty() ? "/.singularity.d/test" : "/scif/apps/" + spec.app + "/scif/test";
    if (executable(path)) return with({path}, spec.arguments);
    if (!spec.app.empty()) throw Error(Code::not_found, "no tests for contained app: " + spec.app);
    host_log.info("No test found in container, executing /bin/sh -c true");
    if (!executable("/bin/sh")) throw Error(Code::not_found, "/bin/sh doesn't exist in container");
    return {{"/bin/sh", "-c", "true"}, false};
}

// An image without the script is a container to join, and nothing to run at first.
CommandLine start(const Spec& spec) {
    const std::string path = spec.app.empty() ? "/.singularity.d/startscript" : "/scif/apps/" + spec.app + "/scif/startscript";
    if (executable(path)) return with({path}, spec.arguments);
    if (!spec.app.empty()) throw Error(Code::not_found, "no startscript for contained app: " + spec.app);
    host_log.info("No instance start script found in container");
    ::_exit(0);
}

struct Machine {
    unsigned number;
    const char* name;  // Go's
};
constexpr Machine machines[] = {{EM_X86_64, "amd64"}, {EM_386, "386"},       {EM_AARCH64, "arm64"}, {EM_ARM, "arm"},
                                {EM_PPC64, "ppc64le"}, {EM_S390, "s390x"}, {EM_RISCV, "riscv64"}};

// The machine of an ELF file, 0 for anything else.
unsigned elf_machine(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    unsigned char head[20];
    if (!fd || ::read(fd.get(), head, sizeof head) != static_cast<ssize_t>(sizeof head) || std::memcmp(head, ELFMAG, SELFMAG) != 0) return 0;
    return head[EI_DATA] == ELFDATA2MSB ? static_cast<unsigned>(head[18] << 8 | head[19]) : static_cast<unsigned>(head[19] << 8 | head[18]);
}

std::string machine_name(unsigned number) {
    for (const auto& m : machines)
        if (m.number == number) return m.name;
    return "machine " + std::to_string(number);
}

const char* own_machine() {
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__powerpc64__)
    return "ppc64le";
#elif defined(__s390x__)
    return "s390x";
#elif defined(__riscv)
    return "riscv64";
#elif defined(__i386__)
    return "386";
#elif defined(__arm__)
    return "arm";
#else
    return "this machine";
#endif
}

// Why execve refused a file that is there.
Error refusal(const std::string& path, int reason) {
    const unsigned machine = elf_machine(path);
    if (reason == ENOEXEC && machine != 0 && machine_name(machine) != own_machine())
        return Error(Code::unsupported, "the image's architecture (" + machine_name(machine) + ") could not run on the host's (" +
                                            own_machine() + "): " + path);
    if (reason == ENOENT)
        return Error(Code::not_found, "exec " + path + " failed: a shared library is likely missing in the image",
                     "the program's loader or its script's interpreter is not there");
    struct stat s;
    const bool known = ::stat(path.c_str(), &s) == 0;
    if (known && S_ISDIR(s.st_mode)) return system_error(EISDIR, "cannot run", path);
    struct statvfs v;
    if (reason == EACCES && known && (s.st_mode & 0111) != 0 && ::statvfs(path.c_str(), &v) == 0 && (v.f_flag & ST_NOEXEC))
        return system_error(reason, "cannot run", path, "its file system is mounted 'noexec': name its interpreter in front of it, as 'sh " + path + "', or copy it elsewhere");
    if (reason == EACCES && known && !executable(path))
        return system_error(reason, "cannot run", path, "it is not executable: 'chmod +x' makes it so, or name its interpreter in front of it, as 'sh " + path + "'");
    return system_error(reason, "cannot run", path);
}

}  // namespace

bool is_oci_runscript(const std::string& text) {
    for (const char* line : {"\neval \"set ${SINGULARITY_OCI_RUN}\"\n", "\neval ${SINGULARITY_OCI_RUN}\n", "\neval \"set -- ${SINGULARITY_OCI_RUN}\"\n"})
        if (text.find(line) != std::string::npos) return true;
    return false;
}

std::vector<std::string> interpret_runscript(const std::string& path, const std::vector<std::string>& arguments, const Variables& variables) {
    Interpreter shell;
    for (const auto& [name, value] : variables) shell.assign(name, value, true);
    shell.positional = arguments;
    shell.name = path;
    try {
        shell.run(read_file(AT_FDCWD, path, 1u << 20));
    } catch (const ScriptExec& e) {
        if (!shell.output.empty()) throw NotUnderstood{"output before the command"};
        return e.words;
    } catch (const ScriptExit&) {
        throw NotUnderstood{"exit in a runscript"};
    }
    return {};
}

CommandLine command_for(const Spec& spec, Variables& variables) {
    if (spec.action == "exec") {
        if (spec.arguments.empty()) throw Error(Code::usage, "exec needs a command");
        return {spec.arguments, true};
    }
    if (spec.action == "run") return run(spec, variables);
    if (spec.action == "test") return test(spec);
    if (spec.action == "start") return start(spec);
    if (spec.action == "shell") {
        if (!spec.shell.empty() && executable(spec.shell)) return with({spec.shell}, spec.arguments);
        if (!spec.shell.empty()) host_log.warn("the shell " + spec.shell + " is not in the container");
        return shell(spec.arguments, variables);
    }
    throw Error(Code::unsupported, "the LaunchSpec wants the action '" + spec.action + "', which this launcher does not know");
}

std::string find_program(const std::string& name, const std::string& path) {
    if (name.find('/') != std::string::npos) return name;
    int reason = ENOENT;
    for (size_t at = 0; !name.empty() && at <= path.size();) {
        const size_t end = std::min(path.find(':', at), path.size());
        const std::string directory = path.substr(at, end - at);
        const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
        if (is_file(candidate)) {
            if (executable(candidate)) return candidate;
            reason = EACCES;
        }
        at = end + 1;
    }
    errno = reason;
    return {};
}

void execute(const CommandLine& command, const Variables& variables, const std::string&) {
    const std::string& name = command.words.at(0);
    std::string file = name;
    if (command.search) {
        const auto path = variables.find("PATH");
        file = find_program(name, path == variables.end() ? std::string() : path->second);
        if (file.empty()) {
            if (errno == EACCES) throw Error(Code::permission, "\"" + name + "\": permission denied");
            throw Error(Code::not_found, "\"" + name + "\": executable file not found in $PATH",
                        name[0] == '-'                          ? "options stand in front of the image"
                        : name.find(' ') != std::string::npos ? "a command and its arguments are words of their own, not one in quotes"
                                                                : "");
        }
    }
    std::vector<std::string> texts;
    for (const auto& [key, value] : variables) texts.push_back(key + "=" + value);
    std::vector<char*> env, argv;
    for (auto& t : texts) env.push_back(t.data());
    env.push_back(nullptr);
    std::vector<std::string> words = command.words;
    for (auto& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    ::execve(file.c_str(), argv.data(), env.data());
    const int reason = errno;
    struct stat s;
    if (reason == ENOENT && ::stat(file.c_str(), &s) != 0)
        throw Error(Code::not_found, "\"" + name + "\": no such file or directory in the container");
    if (reason == ENOEXEC && elf_machine(file) == 0) {  // a script without "#!", as every shell does it
        std::string sh = "/bin/sh";
        argv[0] = sh.data();
        argv.insert(argv.begin() + 1, file.data());
        ::execve(sh.c_str(), argv.data(), env.data());
        if (errno == ENOENT) throw Error(Code::not_found, file + " has no '#!' line and the image no /bin/sh to run it");
    }
    throw refusal(file, reason);
}

}  // namespace launcher
