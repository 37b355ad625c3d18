// Build contexts: the files of a definition's `%files`, as an archive that the client sends before the build.
#pragma once
#include <string>

#include "hub/service.hpp"

namespace hub {

// Each user has its own: who knows a digest has not the right to the file. Equal ones of a user are one file, which goes
// when all who began to send it have removed it, or after a day.
class Contexts {
public:
    Contexts(Service& service, int64_t most_bytes);

    // Where the archive is to be PUT, without a token; "" when it is there already. Either way it is the caller's until
    // the caller removes it. Several may send the same one at a time.
    std::string begin(int64_t user, const std::string& digest, int64_t size, const std::string& base);
    void receive(const std::string& sealed_name, Request& request);
    // Drops one caller's claim; false when there is no such context.
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
