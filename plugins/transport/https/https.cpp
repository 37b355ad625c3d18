// The transport and the source of the schemes http and https over the C boundary.
#include <singularity/transport.hpp>

#include "https/client.hpp"
#include "https/source.hpp"

namespace https {

using singularity::Host;

class Transport final : public singularity::Transport {
public:
    std::unique_ptr<singularity::Response> send(const sg_request& request, const Host& host) override {
        return https::send(request, host);
    }
};

class Conversation final : public singularity::Duplex {
public:
    Conversation(const sg_request& request, const std::string& protocol, const Host& host) : upgraded_(request, protocol, host) {}
    uint64_t read(void* data, uint64_t capacity) override { return upgraded_.read(static_cast<char*>(data), capacity); }
    void write(const void* data, uint64_t size) override { upgraded_.write({static_cast<const char*>(data), size}); }

private:
    Upgraded upgraded_;
};

class Upgrade final : public singularity::Upgrade {
public:
    std::unique_ptr<singularity::Duplex> open(const sg_request& request, const std::string& protocol, const Host& host) override {
        return std::make_unique<Conversation>(request, protocol, host);
    }
};

}  // namespace https

SINGULARITY_PLUGIN(https, https::Transport, https::Upgrade, https::Source)
