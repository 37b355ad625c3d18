// The process that somebody started: waits for the container, passes signals on, relays the terminal (channel.hpp).
#pragma once
#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "channel.hpp"
#include "container.hpp"
#include "family/report.hpp"

namespace oci_runtime {

// Blocks the signals that are passed on, for its life.
class SignalsPassedOn {
public:
    SignalsPassedOn();
    SignalsPassedOn(const SignalsPassedOn&) = delete;
    SignalsPassedOn& operator=(const SignalsPassedOn&) = delete;
    ~SignalsPassedOn();
    int fd() const { return fd_.get(); }

private:
    sigset_t before_;
    launcher::Fd fd_;
};

class Caller {
public:
    Caller(Channel channel, launcher::Fd errors, launcher::Fd reports, pid_t monitor)
        : channel_(std::move(channel)), errors_(std::move(errors)), reports_(std::move(reports)), monitor_(monitor) {}

    // To the container's end: its wait(2) status. Throws what the monitor or the first program has to say.
    int wait(const Plan& plan, const SignalsPassedOn& signals);
    // Until it has become its program: the first process, and the text for those who join.
    std::pair<pid_t, std::string> started(const Plan& plan);

private:
    void heard(Message message);
    void clean_up(const Plan& plan);
    int monitor_status();

    Channel channel_;
    launcher::Fd errors_, reports_;
    pid_t monitor_;
    launcher::Fd user_namespace_, mount_namespace_;
    std::string session_, text_;
    pid_t first_ = 0;
    std::optional<int> ended_;
    launcher::Fd console_;
};

}  // namespace oci_runtime
