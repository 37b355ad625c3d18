// Build contexts: the files of a definition's `%files`, as an archive that the client sends before the build.
#pragma once
#include <string>

#include "hub/service.hpp"

namespace hub {

// Each user has its own: who knows a digest has not the right to the file. They are kept for a day.
class Contexts {
public:
    Contexts(Service& service, int64_t most_bytes);

    // Where the archive is to be PUT, without a token; "" when it is there already.
    std::string begin(int64_t user, const std::string& digest, int64_t size, const std::string& base);
    void receive(const std::string& sealed_name, Request& request);
    bool remove(int64_t user, const std::string& digest);
    std::string find(int64_t user, const std::string& digest);  // the id; throws HttpError 400 when it was not sent
    std::string file(const std::string& id) const;
    void sweep();

private:
    Service& service_;
    std::string directory_;
    int64_t most_;
};

}  // namespace hub
