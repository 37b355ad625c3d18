#include "cli/signals.hpp"

#include <atomic>

namespace sg {

namespace {
std::atomic<CancelToken*> token{nullptr};
constexpr int stopping[] = {SIGINT, SIGTERM, SIGHUP};

void cancel(int) {
    if (CancelToken* t = token.load(std::memory_order_relaxed)) t->cancel();
}
}  // namespace

CancelOnSignal::CancelOnSignal(CancelToken& t) {
    token.store(&t);
    struct sigaction action {};
    action.sa_handler = cancel;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (size_t i = 0; i < 3; ++i) {
        sigaction(stopping[i], nullptr, &before_[i]);
        if (before_[i].sa_handler != SIG_IGN) sigaction(stopping[i], &action, nullptr);  // nohup stays
    }
    // A reader that went away is an error of write(), with a message.
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, &before_[3]);
}

CancelOnSignal::~CancelOnSignal() {
    for (size_t i = 0; i < 3; ++i) sigaction(stopping[i], &before_[i], nullptr);
    sigaction(SIGPIPE, &before_[3], nullptr);
    token.store(nullptr);
}

}  // namespace sg
