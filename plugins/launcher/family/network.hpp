// The network namespace of a container that joins CNI networks, and the process that keeps it ("singularity-net").
//
// What plugins have set up on the host (addresses, rules of a firewall) goes by their DEL alone, so that has to happen
// however a container ends. The keeper is a process of its own, outside of the container and of the caller's session:
// it calls ADD, waits until the caller says so or is dead (SIGKILL too), and calls DEL. What it owes stands in a record
// that it keeps locked, so that when it is killed itself the caller, `instance stop` or the next container with
// networks does it.
#pragma once
#include <memory>
#include <string>

#include "family/spec.hpp"
#include "family/system.hpp"

namespace launcher {

class Network {
public:
    // Makes the namespace and joins the networks of the spec; nothing when it names none. Root of the machine only.
    // Throws what a plugin says, after undoing what others did. Before any thread and any other process of the start.
    explicit Network(const Spec& spec);
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;
    ~Network();  // leaves the networks and waits for it; what cannot be undone is a warning

    void join() const;  // the calling process enters the namespace
    // From now on the networks are left when `process` ends, and not by the destructor.
    void hand_to(pid_t process);

    const std::string& record() const { return record_; }    // for finish_network
    const std::string& address() const { return address_; }  // in the first network; "" = unknown

private:
    void leave();

    Fd namespace_, keeper_;
    pid_t process_ = -1;
    std::string record_, address_;
};

// Leaves the networks of a container that has ended, when its keeper has not or not yet; waits for that one.
void finish_network(const std::string& record);

}  // namespace launcher
