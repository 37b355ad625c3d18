// Finding, keeping and forgetting credentials: what the table "credentials" of singularity/host.h promises.
//
// Any thread: an object has no state but what it was made with.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/home.hpp"
#include "credentials/login.hpp"
#include "credentials/places.hpp"
#include "credentials/server_key.hpp"

namespace sg {

class Credentials {
public:
    // `cancel_fd` as for Helper. `helpers`: "SERVER=HELPER" of the configuration, asked when no file of the user's has
    // anything for a server.
    Credentials(Home home, Places places, int cancel_fd, std::vector<std::string> helpers = {})
        : home_(std::move(home)), places_(std::move(places)), cancel_fd_(cancel_fd), helpers_(std::move(helpers)) {}
    // From HOME and the environment.
    static Credentials of_user(int cancel_fd, std::vector<std::string> helpers = {});

    // `file` "": the usual places. A file that is named must be there (Code::invalid). nullopt: be anonymous.
    std::optional<Login> find(const std::string& server, const std::string& file) const;
    // Gives the file or helper that has them now.
    std::string store(const std::string& server, const std::string& file, const Login& login) const;
    bool erase(const std::string& server, const std::string& file) const;
    std::vector<std::pair<std::string, std::string>> list(const std::string& file) const;  // server, user

private:
    std::vector<Place> files_of(const std::string& file) const;
    std::string file_to_write(const std::string& file) const;

    Home home_;
    Places places_;
    int cancel_fd_;
    std::vector<std::string> helpers_;
};

}  // namespace sg
