#include "cli/instance_start.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "cli/instance_access.hpp"
#include "cli/instance_watch.hpp"

namespace sg {

namespace {

void write_pid(const std::string& path, int pid) {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
    const std::string text = std::to_string(pid) + "\n";
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw_errno("cannot write the pid file", path);
}

}  // namespace

void InstanceStart::reserve(const std::string& name, bool own_processes, runtime::LaunchOptions& options, Session& session) {
    runtime::Instances::check_name(name);
    all_.emplace(instances_of());
    reserved_.emplace(all_->reserve(name, launchers_of(session)));
    name_ = name;
    options.pid = own_processes;
    options.instance = runtime::InstanceFacts{name, "Singularity instance: " + all_->user() + " [" + name + "]", all_->log_path(name, ".out"),
                                              all_->log_path(name, ".err")};
}

void InstanceStart::start(const What& what, Session& session) {
    runtime::Instance i;
    i.name = name_;
    i.user = all_->user();
    i.image = what.image;
    i.log_out = all_->log_path(name_, ".out");
    i.log_err = all_->log_path(name_, ".err");
    i.launcher = what.launcher;
    i.config = what.launch.spec;
    i.directory = reserved_->directory();
    i.user_namespace = what.user_namespace;
    const auto begin = [&] {
        int32_t first = 0;
        singularity::check([&](sg_error* e) { return what.table.start(&what.launch, i.directory.c_str(), &first, e); });
        return first;
    };
    int pid = 0;
    try {
        pid = what.ended ? watch_instance(begin, what.ended, i.log_err) : begin();
    } catch (const Error& e) {
        // Whoever heard that it is about to run hears that it is over.
        if (what.ended) what.ended(exit_code(e.code()));
        throw;
    }
    try {
        (void)instance_runs(session, i);  // its address
        i.pid = pid;
        all_->write(i);
        if (!pid_file.empty()) write_pid(pid_file, pid);
    } catch (...) {
        signal_instance(session, i, SIGKILL);
        throw;
    }
    reserved_->keep();
    log::info("instance started successfully");
}

}  // namespace sg
