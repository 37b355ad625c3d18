// On the hub's own machine, as children of the hub.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <map>

#include "hub/builder/cgroups.hpp"
#include "hub/builder/executor.hpp"
#include "hub/builder/process.hpp"

namespace hub {

namespace {

// When a process began, in clock ticks: with its number it names it for good. "" when there is none. proc(5), "stat":
// the name is in parentheses and may hold anything.
std::string begin_of(pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
    std::string text, word;
    std::getline(in, text, '\0');
    size_t at = text.rfind(')');
    if (at == std::string::npos) return {};
    for (int field = 3; field <= 22; ++field) {
        at = text.find(' ', at);
        if (at == std::string::npos) return {};
        word = text.substr(at + 1, text.find(' ', at + 1) - at - 1);
        ++at;
    }
    return word;
}

class LocalExecutor final : public Executor {
public:
    LocalExecutor(const BuilderOptions& options, std::unique_ptr<BuildGroups> groups)
        : options_(options), groups_(std::move(groups)) {}

    bool has_room(size_t active) const override { return active < static_cast<size_t>(options_.concurrent); }

    std::string start(const std::string& directory, const std::string& id) override {
        // It waits for a word on its input, and ends when there will be none.
        std::vector<std::string> words = {
            "nice", "sh", "-c", "read -r go && exec sh \"$@\" </dev/null", "sh", directory + "/job.sh", directory};
        if (groups_) words.push_back(groups_->add(id, options_));
        auto program = start_fed_program(words);
        const std::string run = std::to_string(program.pid) + " " + begin_of(program.pid) + " " + id;
        waiting_.emplace(run, std::move(program.input));
        return run;
    }

    void go(const std::string& run) override {
        const auto it = waiting_.find(run);
        if (it == waiting_.end()) return;
        (void)!::write(it->second.fd(), "go\n", 3);  // what has ended meanwhile is found by state()
        waiting_.erase(it);
    }

    State state(const std::string& run) override {
        int status = 0;
        const pid_t pid = pid_of(run);
        const pid_t ended = ::waitpid(pid, &status, WNOHANG);
        if (ended == 0) return State::running;
        if (ended < 0 && errno == ECHILD && is_there(run)) return State::running;  // of a hub that was killed
        leave(run);
        return State::ended;
    }

    // "PID BEGIN ID". All that the build has on this side is of one process group; what is inside hangs on `unshare
    // --kill-child`.
    void cancel(const std::string& run) override {
        const pid_t pid = pid_of(run);
        waiting_.erase(run);
        if (!is_there(run)) return leave(run);
        ::kill(-pid, SIGKILL);
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        leave(run);
    }

    bool outlives_hub() const override { return false; }

private:
    static pid_t pid_of(const std::string& run) { return static_cast<pid_t>(std::strtol(run.c_str(), nullptr, 10)); }
    static bool is_there(const std::string& run) {
        const size_t first = run.find(' '), last = run.rfind(' ');
        return pid_of(run) > 1 && first != std::string::npos && last > first + 1 &&
               begin_of(pid_of(run)) == run.substr(first + 1, last - first - 1);
    }
    void leave(const std::string& run) const {
        if (groups_) groups_->remove(run.substr(run.rfind(' ') + 1));
    }
    BuilderOptions options_;
    std::unique_ptr<BuildGroups> groups_;
    std::map<std::string, File> waiting_;  // for go()
};

}  // namespace

std::unique_ptr<Executor> local_executor(const BuilderOptions& options) {
    std::string why;
    auto groups = BuildGroups::make(BuildGroups::own_group(), why);
    if (!groups) singularity::Host().info("The limits of builds are kept by a watch, not by control groups: " + why);
    return std::make_unique<LocalExecutor>(options, std::move(groups));
}

}  // namespace hub
