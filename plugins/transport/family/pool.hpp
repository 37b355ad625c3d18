// Connections that wait for another request, by where they lead and how they are secured. Any thread.
#pragma once
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "family/connection.hpp"

namespace http {

class Pool {
public:
    static Pool& shared();  // the plugin's one; never destroyed, as threads may outlive static objects

    // One that is fit for use, the most recently used first; null when there is none.
    std::unique_ptr<Connection> take(const std::string& key);
    void put(const std::string& key, std::unique_ptr<Connection> connection);

private:
    static constexpr size_t most_per_key = 8;
    static constexpr std::chrono::seconds longest_idle{30};
    std::mutex mutex_;
    std::map<std::string, std::list<std::unique_ptr<Connection>>> idle_;
};

}  // namespace http
