// Starting a container that stays, under a name.
#pragma once
#include <singularity/launcher.h>

#include <functional>
#include <optional>
#include <string>

#include "cli/verb.hpp"
#include "runtime/instances.hpp"
#include "runtime/launch_options.hpp"

namespace sg {

class InstanceStart {
public:
    std::string pid_file;

    // Takes the name, and tells the launch of it. Throws Code::exists.
    void reserve(const std::string& name, bool own_processes, runtime::LaunchOptions& options, Session& session);

    struct What {
        const sg_launcher_v1& table;
        std::string launcher;
        const sg_launch& launch;
        std::string image;  // as people name it
        bool user_namespace;
        std::function<void(int status)> ended;  // when somebody wants to hear of it
    };
    // Starts it and writes its state; after a failure nothing of it is left.
    void start(const What& what, Session& session);

private:
    std::optional<runtime::Instances> all_;
    std::optional<runtime::Reservation> reserved_;
    std::string name_;
};

}  // namespace sg
