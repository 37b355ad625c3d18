#include "https/tls.hpp"

#include <dlfcn.h>
#include <poll.h>

#include <cstdlib>
#include <vector>

#include "https/tls/tls.h"

namespace https {

using http::Channel;
using http::Wait;
using singularity::Code;
using singularity::Error;

namespace {

// The object with libssl and libcrypto, loaded by the first request that is secured by TLS.
const https_tls_v1& tls() {
    static const https_tls_v1* const table = [] {
        Dl_info here{};
        std::string path =
            ::dladdr(reinterpret_cast<const void*>(&tls), &here) != 0 && here.dli_fname ? here.dli_fname : "";
        path = path.substr(0, path.rfind('/') + 1) + "https-tls.so";
        void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        const auto entry = handle ? reinterpret_cast<https_tls_fn>(::dlsym(handle, HTTPS_TLS_ENTRY)) : nullptr;
        if (!entry) {
            const char* why = ::dlerror();
            throw Error(Code::unsupported,
                        "cannot load " + path + ", which speaks TLS: " + (why ? why : "it has no entry"),
                        "This installation is incomplete: install it again.");
        }
        return entry();
    }();
    return *table;
}

class TlsChannel final : public Channel {
public:
    TlsChannel(std::unique_ptr<http::SocketChannel> socket, const std::string& host, const std::string& where,
               const TlsSettings& settings)
        : socket_(std::move(socket)), tls_(nullptr, tls().close) {
        std::vector<const char*> ca;
        for (const std::string& path : settings.ca) ca.push_back(path.c_str());
        ca.push_back(nullptr);
        const std::string identity = settings.identity();
        const https_tls_settings c{settings.verify ? 1 : 0, ca.data(), settings.certificate.c_str(),
                                   settings.key.c_str(), identity.c_str()};
        https_tls* opened = nullptr;
        singularity::check(
            [&](sg_error* e) { return tls().open(socket_->fd(), host.c_str(), where.c_str(), &c, &opened, e); });
        tls_.reset(opened);
    }
    int fd() const override { return socket_->fd(); }

    void shake_hands(Wait& wait) {
        for (int32_t did = HTTPS_TLS_SOME;;) {
            singularity::check([&](sg_error* e) { return tls().shake_hands(tls_.get(), &did, e); });
            if (did == HTTPS_TLS_SOME) return;
            wait.until(fd(), did == HTTPS_TLS_WANT_WRITE ? POLLOUT : POLLIN);
        }
    }

    Result read(char* to, size_t size) override {
        return step([&](int32_t* did, uint64_t* bytes, sg_error* e) {
            return tls().read(tls_.get(), to, size, did, bytes, e);
        });
    }
    Result write(const char* from, size_t size) override {
        return step([&](int32_t* did, uint64_t* bytes, sg_error* e) {
            return tls().write(tls_.get(), from, size, did, bytes, e);
        });
    }

private:
    template <class F>
    static Result step(F&& f) {
        int32_t did = HTTPS_TLS_END;
        uint64_t bytes = 0;
        singularity::check([&](sg_error* e) { return f(&did, &bytes, e); });
        switch (did) {
            case HTTPS_TLS_SOME: return {Did::some, bytes};
            case HTTPS_TLS_WANT_READ: return {Did::want_read, 0};
            case HTTPS_TLS_WANT_WRITE: return {Did::want_write, 0};
            default: return {Did::end, 0};
        }
    }

    std::unique_ptr<http::SocketChannel> socket_;  // outlives what speaks over it
    std::unique_ptr<https_tls, void (*)(https_tls*)> tls_;
};

}  // namespace

std::string TlsSettings::identity() const {
    std::string out = verify ? "verify" : "insecure";
    for (const auto& c : ca) out += "\n" + c;
    out += "\n\n" + certificate + "\n" + key;
    // What is trusted follows the environment (OpenSSL's names).
    for (const char* name : {"SSL_CERT_FILE", "SSL_CERT_DIR"}) {
        const char* value = std::getenv(name);
        out += "\n" + std::string(value ? value : "");
    }
    return out;
}

std::unique_ptr<Channel> open_tls(int fd, const std::string& host, const std::string& where,
                                  const TlsSettings& settings, Wait& wait) {
    auto channel = std::make_unique<TlsChannel>(std::make_unique<http::SocketChannel>(fd), host, where, settings);
    channel->shake_hands(wait);
    return channel;
}

}  // namespace https
