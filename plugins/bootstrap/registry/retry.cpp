#include "registry/retry.hpp"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <random>

namespace registry {
namespace {

using singularity::Code;

class RealClock final : public Clock {
public:
    double now() override {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
    void wait(double seconds, const singularity::Host& host) override {
        const double end = now() + seconds;
        for (;;) {
            host.poll();
            const double left = end - now();
            if (left <= 0) return;
            // In steps, as not every call has a descriptor that wakes us.
            const int step = static_cast<int>(std::min(left, 0.05) * 1000) + 1;
            pollfd cancel{host.cancel_fd(), POLLIN, 0};
            ::poll(cancel.fd >= 0 ? &cancel : nullptr, cancel.fd >= 0 ? 1 : 0, step);
        }
    }
    double jitter() override {
        static thread_local std::minstd_rand engine{std::random_device{}()};
        return std::uniform_real_distribution<double>(0, 1)(engine);
    }
};

}  // namespace

Clock& real_clock() {
    static RealClock clock;
    return clock;
}

bool is_transient(unsigned status) {
    switch (status) {
        case 408:
        case 499:
        case 500:
        case 502:
        case 503:
        case 504:
        case 522: return true;
        default: return false;
    }
}

bool is_transient(const singularity::Error& error) {
    if (error.code() != Code::network && error.code() != Code::timeout) return false;
    switch (error.sys_errno()) {
        // Nobody is there, or not who should be: that is so a second later as well.
        case ECONNREFUSED:
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ENXIO:         // an unknown name
        case EKEYREJECTED:  // a certificate
        case EPROTO: return false;
        default: return true;
    }
}

double wait_after_failure(unsigned tries, Clock& clock) {
    const double base = tries <= 1 ? 1 : 3;
    return base * (1 + 0.1 * clock.jitter());
}

std::optional<double> wait_after_limit(unsigned tries, std::string_view retry_after) {
    double wait = std::min(2.0 * static_cast<double>(1u << std::min(tries - 1, 10u)), longest_wait);
    if (!retry_after.empty()) {
        if (std::all_of(retry_after.begin(), retry_after.end(), [](char c) { return c >= '0' && c <= '9'; })) {
            if (retry_after.size() > 6) return std::nullopt;
            wait = std::stod(std::string(retry_after));
        } else {
            struct tm date {};
            const std::string text(retry_after);
            // RFC 9110 section 5.6.7, the form that is written today.
            if (::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date))
                wait = std::max(0.0, std::difftime(::timegm(&date), ::time(nullptr)));
        }
    }
    if (wait > longest_wait) return std::nullopt;
    return wait;
}

}  // namespace registry
