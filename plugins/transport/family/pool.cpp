#include "family/pool.hpp"

namespace http {

Pool& Pool::shared() {
    static auto& pool = *new Pool;
    return pool;
}

std::unique_ptr<Connection> Pool::take(const std::string& key) {
    for (;;) {
        std::unique_ptr<Connection> found;
        {
            const std::lock_guard lock(mutex_);
            const auto at = idle_.find(key);
            if (at == idle_.end()) return nullptr;
            found = std::move(at->second.front());
            at->second.pop_front();
            if (at->second.empty()) idle_.erase(at);
        }
        if (std::chrono::steady_clock::now() - found->idle_since() < longest_idle && found->quiet()) return found;
    }
}

void Pool::put(const std::string& key, std::unique_ptr<Connection> connection) {
    connection->mark_idle();
    std::unique_ptr<Connection> surplus;  // closed outside of the lock
    const std::lock_guard lock(mutex_);
    auto& list = idle_[key];
    list.push_front(std::move(connection));
    if (list.size() > most_per_key) {
        surplus = std::move(list.back());
        list.pop_back();
    }
}

}  // namespace http
