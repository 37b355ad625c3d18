// When a request is worth another try, and how long to wait before it (RFC 9110, "Retry-After"; RFC 6585, 429).
#pragma once
#include <optional>
#include <singularity/host.hpp>
#include <string>
#include <string_view>

namespace registry {

// Time as the client sees it; tests give their own.
class Clock {
public:
    virtual ~Clock() = default;
    virtual double now() = 0;  // seconds, monotonic
    // Throws Code::cancelled within 100 ms once the call is to end.
    virtual void wait(double seconds, const singularity::Host& host) = 0;
    virtual double jitter() = 0;  // from 0 to 1
};
Clock& real_clock();

// 408, 499, 500, 502, 503, 504, 522: the same request may succeed a moment later.
bool is_transient(unsigned status);
// A connection that broke, or did not come about for a reason that may pass.
bool is_transient(const singularity::Error& error);

inline constexpr unsigned max_tries = 3;          // of a request that fails
inline constexpr unsigned max_limited_tries = 5;  // of one that is refused for coming too often
inline constexpr double longest_wait = 60;        // seconds

// Seconds before try number `tries` + 1 of a request that failed: 1, 3, with 10 % jitter.
double wait_after_failure(unsigned tries, Clock& clock);
// Seconds before the next try after 429: what Retry-After says (seconds or an HTTP date), else 2 doubling. nullopt when
// the server wants more patience than longest_wait: better told to the user.
std::optional<double> wait_after_limit(unsigned tries, std::string_view retry_after);

}  // namespace registry
