// Work that is done once although many processes, on many hosts, want its result: one has the lease, the others wait.
//
// A lease is a small file, ROOT/leases/NAME, which one process makes (by link(2), so that exactly one succeeds, also on
// network file systems) and rewrites twice a second with a growing number. Others judge by that: a content that has
// changed, seen by their own monotonic clock, is a living owner; nobody's clock is compared with another's, and there
// are no file locks, which not every network file system has. An owner that is dead on this host is known at once; one
// that stays silent loses the lease after a few seconds on this host and after most of a minute on another one.
//
// A lease only saves work. Who lost it without knowing (a process that was stopped and goes on) does no harm: results
// appear by rename, whole, and are the same whoever made them.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/call.hpp"
#include "base/unique_fd.hpp"
#include "store/owner.hpp"

namespace sg {

// How long an owner may be silent before others take over; tests have less patience.
struct LeasePatience {
    std::chrono::milliseconds beat{500};
    std::chrono::milliseconds same_host{4000};
    std::chrono::milliseconds other_host{45000};
};

class Lease {
public:
    // What an owner tells those who wait: bytes done and to do.
    struct State {
        uint64_t done = 0, total = 0;
    };

    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();  // gives it back

    // Waits for the lease `name` of the cache `root`; null as soon as `have_result` is true (asked at the beginning,
    // whenever the lease changes hands, and now and then, as a network file system may go on showing a lease that was
    // given back). `waiting` is called about ten times a second while another has it. Throws cancelled, permission,
    // no_space.
    static std::unique_ptr<Lease> acquire(const std::string& root, const std::string& name,
                                          const std::function<bool()>& have_result,
                                          const std::function<void(const State&)>& waiting, const sg_call* call,
                                          const LeasePatience& patience = LeasePatience());

    // Takes the lease, or waits until the process that has it gives it back: then null, as its work is done or has
    // failed. One that died is replaced. Throws as `acquire` does.
    static std::unique_ptr<Lease> take_or_follow(const std::string& root, const std::string& name,
                                                 const std::function<void(const State&)>& waiting, const sg_call* call,
                                                 const LeasePatience& patience = LeasePatience());

    // Takes the lease unless a process that lives has it: then null. Waits for nothing but a sign of life from an owner
    // that is not of this host, a few seconds at most. Throws permission, no_space.
    static std::unique_ptr<Lease> take_if_free(const std::string& root, const std::string& name,
                                               const LeasePatience& patience = LeasePatience());

    // Removes the leases of owners that are dead, or of other hosts and a day old: nobody may ask for them again. Whoever
    // wants a lease has done so.
    static void remove_left_over(const std::string& root);

    // Any thread.
    void tell(uint64_t done, uint64_t total);

private:
    Lease(std::string path, std::string token, UniqueFd fd, const LeasePatience& patience);
    static std::unique_ptr<Lease> try_take(const std::string& path, const LeasePatience& patience);
    void beat();

    const std::string path_, token_;
    UniqueFd fd_;
    const LeasePatience patience_;
    std::atomic<uint64_t> done_{0}, total_{0};
    std::mutex mutex_;
    std::condition_variable end_;
    bool ended_ = false;  // guarded by mutex_
    std::thread thread_;
};

// A progress that passes on, and tells a lease's waiters how far it is. Any thread.
class LeaseProgress final : public Progress {
public:
    LeaseProgress(Lease& lease, Progress* next) : lease_(lease), next_(next) {}
    Bar* begin(const char* label, uint64_t total) override;

private:
    class Line;
    Lease& lease_;
    Progress* next_;
    std::atomic<uint64_t> done_{0}, total_{0};
};

}  // namespace sg
