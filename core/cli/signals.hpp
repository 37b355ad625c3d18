// SIGINT, SIGTERM and SIGHUP set a cancel token; a second one ends the process at once.
#pragma once
#include <signal.h>

#include "base/call.hpp"

namespace sg {

// One at a time; what was set before is put back at the end.
class CancelOnSignal {
public:
    explicit CancelOnSignal(CancelToken& token);
    CancelOnSignal(const CancelOnSignal&) = delete;
    CancelOnSignal& operator=(const CancelOnSignal&) = delete;
    ~CancelOnSignal();

private:
    struct sigaction before_[4];
};

}  // namespace sg
