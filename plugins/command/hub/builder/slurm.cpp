// As jobs of Slurm, whose queue is the queue: sbatch(1), squeue(1), scancel(1).
#include <chrono>
#include <map>
#include <singularity/error.hpp>
#include <sstream>

#include "hub/builder/executor.hpp"
#include "hub/builder/process.hpp"

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

using Clock = std::chrono::steady_clock;

class SlurmExecutor final : public Executor {
public:
    explicit SlurmExecutor(const BuilderOptions& options) : options_(options) {}

    bool has_room(size_t) const override { return true; }

    std::string start(const std::string& directory, const std::string& id) override {
        std::vector<std::string> words = {"sbatch",
                                          "--parsable",
                                          "--no-requeue",
                                          "--job-name=hub-" + id,
                                          "--chdir=" + directory,
                                          "--output=/dev/null",
                                          "--error=/dev/null",
                                          "--export=PATH",
                                          "--ntasks=1",
                                          "--cpus-per-task=" + std::to_string(options_.cpus),
                                          "--mem=" + std::to_string((options_.memory + (1 << 20) - 1) >> 20) + "M",
                                          "--time=" + std::to_string((options_.seconds + 59) / 60 + 1)};
        if (!options_.partition.empty()) words.push_back("--partition=" + options_.partition);
        if (!options_.account.empty()) words.push_back("--account=" + options_.account);
        words.push_back(directory + "/job.sh");
        words.push_back(directory);
        const auto ran = run_program(words);
        // "NUMBER" or "NUMBER;CLUSTER", perhaps after warnings.
        size_t begin = ran.out.find_last_not_of("\n");
        begin = begin == std::string::npos ? 0 : ran.out.rfind('\n', begin) + 1;
        const std::string number = ran.out.substr(begin, ran.out.find_first_not_of("0123456789", begin) - begin);
        if (ran.status != 0 || number.empty())
            throw Error(Code::io, "sbatch refused the build: " + ran.out.substr(0, 500));
        return number;
    }

    std::string left_behind(const std::string& id) override {
        const auto ran = run_program({"squeue", "--noheader", "--states=all", "--format=%i", "--name=hub-" + id});
        if (ran.status != 0) throw Error(Code::io, "squeue fails: " + ran.out.substr(0, 500));
        // A number in a line of its own, perhaps after warnings.
        std::istringstream lines(ran.out);
        for (std::string line; std::getline(lines, line);)
            if (!line.empty() && line.find_first_not_of("0123456789") == std::string::npos) return line;
        return {};
    }

    State state(const std::string& run) override {
        auto& known = known_[run];
        // Each question is a program and a call to the controller.
        if (known.state != State::ended && Clock::now() >= known.again) {
            const auto ran = run_program({"squeue", "--noheader", "--states=all", "--format=%T", "--jobs=" + run});
            known.again = Clock::now() + std::chrono::seconds(2);
            const std::string word = ran.out.substr(0, ran.out.find_first_of(" \n"));
            if (ran.status == 0 && (word == "PENDING" || word == "CONFIGURING"))
                known.state = State::waiting;
            else if (ran.status == 0 && (word == "RUNNING" || word == "COMPLETING" || word == "SUSPENDED" ||
                                         word == "STOPPED" || word == "SIGNALING" || word == "STAGE_OUT"))
                known.state = State::running;
            else if (ran.status == 0 || ran.out.find("Invalid job id") != std::string::npos)
                known.state = State::ended;
            // A controller that does not answer says nothing of the job.
        }
        const State state = known.state;
        if (state == State::ended) known_.erase(run);
        return state;
    }

    void cancel(const std::string& run) override {
        auto& known = known_[run];
        if (Clock::now() < known.cancel_again) return;
        known.cancel_again = Clock::now() + std::chrono::seconds(5);
        known.again = {};
        run_program({"scancel", run});
    }
    bool outlives_hub() const override { return true; }

private:
    struct Known {
        State state = State::waiting;
        Clock::time_point again{}, cancel_again{};
    };
    BuilderOptions options_;
    std::map<std::string, Known> known_;
};

}  // namespace

std::unique_ptr<Executor> slurm_executor(const BuilderOptions& options) {
    return std::make_unique<SlurmExecutor>(options);
}

}  // namespace hub
