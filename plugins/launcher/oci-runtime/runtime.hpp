// The OCI runtime of the machine: which one, and its commands. All of its files are below `state`, which the caller
// makes where they vanish with the container: in the memory of the container's session.
#pragma once
#include <string>
#include <vector>

#include "family/system.hpp"

namespace oci_runtime {

struct Runtime {
    std::string program;  // absolute path
    bool crun = false;    // it takes crun's options; otherwise runc's
};

// `wish`: "auto", "crun", "runc" or an absolute path. Throws Code::not_found, Code::usage.
Runtime find_runtime(const std::string& wish);

// What a command of the runtime hands on to the container: standard streams, and descriptors from number 3 on.
struct Passed {
    std::vector<int> descriptors;  // -1: /dev/null in its place
    bool streams = true;           // false: /dev/null
};

class RuntimeCommands {
public:
    // `session`: an absolute directory of its own. `control_groups`: it makes some.
    RuntimeCommands(Runtime runtime, std::string session, std::string id, bool control_groups);

    void create(const std::string& bundle, const std::string& console_socket, const Passed& passed) const;
    void start() const;
    void exec(const std::string& process_file, const std::string& pid_file, const std::string& console_socket,
              const Passed& passed) const;
    void remove() const noexcept;           // when its first process has ended
    void kill_and_remove() const noexcept;  // whatever its state
    pid_t pid() const;                      // after create()

    const std::string& id() const { return id_; }

private:
    void call(std::vector<std::string> words, const Passed& passed) const;

    Runtime runtime_;
    std::string session_, id_;
    bool control_groups_;
};

pid_t read_pid(const std::string& path);

// The directories of the control groups with these paths that there are, of every hierarchy that is mounted as a whole.
std::vector<std::string> group_directories(const std::vector<std::string>& paths);

}  // namespace oci_runtime
