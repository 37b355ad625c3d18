// A hub that serves in this process, and what speaks to it byte by byte.
#pragma once
#include <arpa/inet.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "hub/builder/contexts.hpp"
#include "hub/server/server.hpp"
#include "hub/service.hpp"

struct HubDirectory {
    std::string path;
    HubDirectory() {
        char name[] = "/tmp/hub-test-XXXXXX";
        if (!::mkdtemp(name)) throw std::runtime_error("no temporary directory");
        path = name;
    }
    HubDirectory(const HubDirectory&) = delete;
    ~HubDirectory() { std::filesystem::remove_all(path); }
};

// The whole library, with the users alice and bob, and contexts of builds without a builder.
struct RunningHub {
    HubDirectory directory;
    hub::Service service{directory.path + "/data"};
    hub::Contexts contexts{service, 1 << 20};
    hub::Router router;
    std::string alice, bob;  // tokens
    int stop = ::eventfd(0, EFD_CLOEXEC);
    std::unique_ptr<hub::Server> server;
    std::thread thread;

    explicit RunningHub(hub::ServerOptions options = {}) {
        for (const char* name : {"alice", "bob"}) service.accounts.add_user(name, "long enough", false);
        alice = token("alice"), bob = token("bob");
        hub::add_all_routes(service, router);
        router.add(
            "PUT", "/upload-context/{sealed}", hub::Access::open,
            [this](hub::Request& request, hub::Reply& reply) {
                contexts.receive(request.arguments[0], request);
                reply.empty(200);
            },
            true);
        options.port = 0;
        server = std::make_unique<hub::Server>(router, service.accounts, options, service.counts);
        thread = std::thread([this] { server->run(stop); });
    }
    ~RunningHub() {
        const uint64_t one = 1;
        (void)!::write(stop, &one, sizeof one);
        thread.join();
        ::close(stop);
    }
    std::string token(const std::string& user) {
        return service.accounts.add_token(service.accounts.user_id(user), "t", hub::scope_all, 3600).secret;
    }
};

// One connection.
class Wire {
public:
    explicit Wire(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        timeval patience{60, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
            throw std::runtime_error("cannot connect");
    }
    Wire(Wire&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    ~Wire() {
        if (fd_ >= 0) ::close(fd_);
    }
    // False when the other side has closed.
    bool send(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<size_t>(n));
        }
        return true;
    }
    int fd() const { return fd_; }
    void end() const { ::shutdown(fd_, SHUT_WR); }
    // All until the other side closes.
    std::string rest() const {
        std::string out;
        char buffer[4096];
        for (ssize_t n = 0; (n = ::recv(fd_, buffer, sizeof buffer, 0)) > 0;)
            out.append(buffer, static_cast<size_t>(n));
        return out;
    }

private:
    int fd_;
};

struct Answer {
    int status = 0;  // 0: the connection ended without one
    std::string head, body;
    std::string member(const std::string& name) const {  // of the JSON, when it is a text
        const std::string key = "\"" + name + "\":\"";
        const size_t at = body.find(key);
        return at == std::string::npos
                   ? ""
                   : body.substr(at + key.size(), body.find('"', at + key.size()) - at - key.size());
    }
};

inline Answer answer_of(const std::string& text) {
    Answer a;
    const size_t end = text.find("\r\n\r\n");
    if (text.size() > 12) a.status = std::atoi(text.c_str() + 9);
    a.head = text.substr(0, end);
    if (end != std::string::npos) a.body = text.substr(end + 4);
    return a;
}

inline std::string head_of(const std::string& method, const std::string& path, const std::string& token, size_t size) {
    return method + " " + path + " HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n" +
           (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") +
           "Content-Length: " + std::to_string(size) + "\r\n\r\n";
}

inline Answer ask(uint16_t port, const std::string& method, const std::string& path, const std::string& token = {},
                  const std::string& body = {}) {
    const Wire wire(port);
    wire.send(head_of(method, path, token, body.size()) + body);
    return answer_of(wire.rest());
}
