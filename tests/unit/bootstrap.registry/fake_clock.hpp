#pragma once
#include "registry/retry.hpp"

namespace fake {

struct FakeClock final : registry::Clock {
    double time = 1000;
    std::vector<double> waits;
    double now() override { return time; }
    void wait(double seconds, const singularity::Host& host) override {
        host.poll();
        waits.push_back(seconds);
        time += seconds;
    }
    double jitter() override { return 0; }
};

}  // namespace fake
