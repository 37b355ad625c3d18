// A read-only FUSE server on the kernel's own protocol (linux/fuse.h), without libfuse.
//
// `transport` is a descriptor on which one read gives one request and one write sends one answer: /dev/fuse,
// or a SOCK_SEQPACKET socket in tests. How the process that serves was started is not its business
// (detached.hpp).
//
// Measured choices (ranked by what the lack of one costs): endless time-outs, negative ones too, as an image
// never changes; no open and opendir at all; readdirplus as the kernel sees fit; threads for every core,
// started when a request finds none idle; neighbours of small files handed over before they are asked for
// (neighbours.hpp). Descriptors cloned per thread and reading ahead in here bring nothing.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "mount/buffer.hpp"
#include "mount/neighbours.hpp"
#include "mount/view.hpp"

namespace sg {

class Server {
public:
    // `view` and `transport` (not owned) must outlive the server.
    Server(int transport, const View& view);
    ~Server();  // the transport must have ended
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Answers in this thread and in more that it starts, until the transport ends: unmounted, the connection
    // aborted, or the other side of a socket closed. Other threads may still be in their last request.
    //
    // With `leash`, a descriptor, in other threads alone, whose descriptors lack it. So it is closed at once when the
    // process is killed, also when one of them waits in the kernel for a page, which no signal ends (neighbours.hpp).
    void serve(int leash = -1);

    // Answers in this thread alone until `other` (a descriptor) becomes readable or its other side is closed; serve() goes on.
    void serve_until(int other);

private:
    struct Request;
    void answer();  // one thread's loop
    void answer_apart(int leash);
    void handle(Request& request);
    bool more_wanted() const noexcept;
    void start_another() noexcept;

    void initialise(Request& request);
    void look_up(Request& request);
    void list(Request& request, bool plus);
    void read(Request& request);
    void control(Request& request);
    void xattr(Request& request);

    const int transport_;
    const View& view_;
    const bool has_xattrs_;
    Neighbours neighbours_;
    std::atomic<bool> may_skip_open_{false}, may_skip_opendir_{false};  // what the kernel's INIT said
    unsigned limit_ = 1;                                                // of threads; set before there is a second
    std::atomic<unsigned> answering_{1};                                // threads there are, with the one in serve()
    std::atomic<unsigned> idle_{0};
    std::atomic<bool> owing_{false};    // a thread sends that has not answered its own request yet
    std::atomic<unsigned> sending_{0};  // threads that may wait for a page, see neighbours.hpp
    std::atomic<bool> over_{false};     // a thread has seen the transport's end
    std::mutex mutex_;                  // guards the two below
    bool closed_ = false;               // no more threads: at the end, or when no more can be had
    std::vector<std::thread> threads_;
};

}  // namespace sg
