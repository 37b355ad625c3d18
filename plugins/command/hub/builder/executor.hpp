// Where builds run. An executor starts a prepared directory's `job.sh` (job.hpp) and says how it stands; what came of
// it lies in the directory.
#pragma once
#include <memory>
#include <string>

#include "hub/builder/options.hpp"

namespace hub {

// Of the builder's thread alone.
class Executor {
public:
    enum class State { waiting, running, ended };
    virtual ~Executor() = default;
    // Whether one more may be started; `active` have been and are not done.
    virtual bool has_room(size_t active) const = 0;
    // A text that names the run, also for the hub's next start. What is started waits for `go`, where it can: a hub
    // that is killed before it has written the text down leaves nothing behind. Throws.
    virtual std::string start(const std::string& directory, const std::string& id) = 0;
    virtual void go(const std::string&) {}
    // The run of a build that an earlier hub started, and was killed before it had written that down; "" = there is
    // none. Throws when nobody can say.
    virtual std::string left_behind(const std::string&) { return {}; }
    virtual State state(const std::string& run) = 0;
    // Ends it with all that belongs to it; nothing is left of it when this returns or state() is `ended`.
    virtual void cancel(const std::string& run) = 0;
    // Whether runs go on when the hub has ended, and are found again.
    virtual bool outlives_hub() const = 0;
};

std::unique_ptr<Executor> local_executor(const BuilderOptions& options);
std::unique_ptr<Executor> slurm_executor(const BuilderOptions& options);

}  // namespace hub
