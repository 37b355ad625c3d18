// TLS by certificate files, in front of the server.
#pragma once
#include <Poco/Net/SocketAddress.h>

#include <functional>
#include <memory>
#include <string>

namespace hub {

struct TlsOptions {
    std::string certificate;     // PEM: the hub's own, then those that lead to the authority
    std::string key;             // PEM, without a passphrase
    int handshake_seconds = 15;  // for the handshake
    int stall_seconds = 30;      // for the client to take what is left when the server has ended a connection
};

// Takes TCP connections and gives, once the handshake is done, a local stream socket for each, on which the client's
// plain bytes come and go: the server above it peeks, sends files and hands sockets on as it does without TLS. TLS 1.2
// and 1.3. A few threads carry all connections; buffers exist only while bytes wait. Any thread.
class TlsFront {
public:
    using Arrived = std::function<void(int fd, const Poco::Net::SocketAddress& client)>;  // owns fd

    explicit TlsFront(TlsOptions options);  // throws Error: what is wrong with which file
    ~TlsFront();                            // what the server has written still goes out, for at most 5 s
    TlsFront(const TlsFront&) = delete;
    TlsFront& operator=(const TlsFront&) = delete;

    // Reads the files again, for connections from now on. Throws as the constructor does, and then nothing changes.
    void reload();
    // Who gets the plain ends, called from the front's threads; none: connections are closed.
    void give_to(Arrived arrived);
    void take(int fd, const Poco::Net::SocketAddress& client);  // owns fd
    size_t count() const;                                       // connections

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace hub
