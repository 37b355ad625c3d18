// Containers that run under a name, as files in the user's home, where Apptainer and SingularityCE look too:
//
//     ~/.singularity/instances/sing/HOST/USER/NAME/NAME.json    what is known of it; the members are Singularity's
//     ~/.singularity/instances/sing/HOST/USER/NAME/             also the launcher's own files (launcher.h, "start")
//     ~/.singularity/instances/logs/HOST/USER/NAME.{out,err}    what it prints; stays after its end
//
// Whether one runs is for its launcher to say. Not for several threads; several processes are guarded by locks.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace sg::runtime {

struct Instance {
    std::string name, user, image, ip, log_err, log_out;
    std::string launcher;   // "" for one that another program has started
    std::string config;     // the LaunchSpec that it was started with
    std::string cgroup;     // its control group's directory, "" = none of its own
    std::string directory;
    int pid = 0;            // its first process
    bool user_namespace = false;
};

// A name that was taken and is not there yet: the lock of the container's directory. What was made for it goes when
// keep() is not called.
class Reservation {
public:
    Reservation(std::string directory, UniqueFd lock) : directory_(std::move(directory)), lock_(std::move(lock)) {}
    Reservation(Reservation&&) = default;
    Reservation(const Reservation&) = delete;
    ~Reservation();
    const std::string& directory() const { return directory_; }
    void keep() { kept_ = true; }

private:
    std::string directory_;
    UniqueFd lock_;  // moved from: -1
    bool kept_ = false;
};

class Instances {
public:
    // `home` is the home directory of `user`, on this host.
    Instances(const std::string& home, const std::string& user);

    // [a-zA-Z0-9._-]+; throws Code::usage for another name.
    static void check_name(const std::string& name);

    std::string log_path(const std::string& name, const char* ending) const;  // ".out", ".err"

    // What launchers are asked: whether it runs, and to forget one that does not.
    struct Launchers {
        std::function<bool(const Instance&)> runs;
        std::function<void(const Instance&)> forget;
    };
    // Takes the name; throws Code::exists when one runs or starts under it. Takes away what a dead one left.
    Reservation reserve(const std::string& name, const Launchers& launchers) const;
    void write(const Instance& instance) const;

    // Those whose name fits the shell pattern ("" = all), by name. Takes away what the dead have left.
    std::vector<Instance> list(const std::string& pattern, const Launchers& launchers) const;
    std::optional<Instance> find(const std::string& name, const Launchers& launchers) const;

    const std::string& user() const { return user_; }

private:
    std::optional<Instance> read(const std::string& name) const;

    std::string top_, logs_, user_;
};

// For an entry without a launcher of ours: its supervising process lives and has the title that it gave itself.
bool foreign_instance_lives(int supervisor);

}  // namespace sg::runtime
