#include "base/call.hpp"

#include <sys/eventfd.h>

#include "base/error.hpp"

namespace sg {

CancelToken::CancelToken() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!fd_) throw_errno("cannot make an event descriptor", "");
}

void CancelToken::cancel() noexcept {
    set_.store(true, std::memory_order_relaxed);
    const uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(fd_.get(), &one, sizeof one);
}

void CancelToken::poll() const {
    if (cancelled()) throw Error(Code::cancelled, "interrupted");
}

}  // namespace sg
