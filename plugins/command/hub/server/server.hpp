// The HTTP server: one thread waits for all connections, others answer.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "hub/server/router.hpp"
#include "hub/server/tls.hpp"

namespace hub {

struct ServerOptions {
    std::string host = "127.0.0.1";
    uint16_t port = 8080;        // 0: any free one
    unsigned threads = 384;      // at most; they are made when needed
    int idle_seconds = 15;       // for the whole head of a request to arrive
    int stall_seconds = 30;      // without a byte of a body, either way
    bool behind_proxy = false;   // believe X-Forwarded-For and X-Forwarded-Proto
    std::string url;             // as clients see the hub; "": from the Host header
    std::string access_log;      // a file; "": none
    TlsFront* tls = nullptr;     // outlives the server
};

struct ServerCounts {
    std::atomic<uint64_t> requests{0}, failures{0}, bytes{0}, connections{0}, busy{0};
};

// A connection costs a thread only from when the head of its request is there whole until it is answered: idle and slow
// clients cost a descriptor, and lose it after idle_seconds. A head is at most 16 KiB (431).
class Server {
public:
    Server(const Router& router, Accounts& accounts, ServerOptions options, ServerCounts& counts);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    uint16_t port() const;
    // Until `stop_fd` is readable; then answers what has begun (for at most 30 s) and returns. What is written to
    // `again_fd` (-1: none) has it open the access log again, and TLS's files read again.
    void run(int stop_fd, int again_fd = -1);

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace hub
