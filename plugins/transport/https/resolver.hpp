// Names to addresses, and addresses to a connection.
#pragma once
#include <netdb.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "family/wait.hpp"

namespace https {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    int family() const { return storage.ss_family; }
    std::string text() const;  // without the port
    // 169.254.0.0/16 and fe80::/10, also as an IPv4 address within IPv6.
    bool link_local() const;
    bool loopback() const;
};

// The address that `host` spells out; false when it is a name.
bool parse_address(const std::string& host, uint16_t port, Address& out);

// All addresses of a host, in the system's order of preference. The look-up runs in a thread of its own, as nothing else
// can end it: when the user cancels, it is left behind. Throws Code::network.
std::vector<Address> resolve(const std::string& host, uint16_t port, http::Wait& wait);

// A connected socket in non-blocking mode: the addresses are tried one after the other, the next one 250 ms after the last
// one, or when that has failed (RFC 8305); the first that answers wins. `where` is for messages. Throws Code::network.
int connect(const std::vector<Address>& addresses, const std::string& where, http::Wait& wait);

}  // namespace https
