// Builds as the database knows them: the queue, what runs, what was.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "hub/store/database.hpp"

namespace hub {

// queued -> running -> succeeded | failed | cancelled
struct Build {
    std::string id;  // 24 hex digits
    int64_t user = 0;
    std::string user_name, state, run;  // `run`: of the executor; "" = not started
    bool cancelled = false;             // wished
    std::string definition, directory;
    std::string context;    // the id of one; "" = none
    std::string reference;  // ENTITY/COLLECTION/NAME:TAG[,TAG...]
    bool temporary = false;
    std::string base;     // of the hub, as the client reaches it
    std::string message;  // why it failed
    std::string image;    // of the library
    int64_t size = 0;
    std::string checksum;  // sha256.HEX
    int64_t submitted = 0, started = 0, completed = 0;
    bool done() const { return state != "queued" && state != "running"; }
};

// Any thread.
class Builds {
public:
    static constexpr int64_t most_waiting = 50;  // of one user
    explicit Builds(Database& database) : db_(database) {}

    void add(const Build& build);  // throws HttpError 429 above most_waiting
    std::optional<Build> find(const std::string& id);
    std::vector<Build> unfinished();                       // oldest first
    std::vector<Build> newest(int64_t user, size_t most);  // 0: of all users
    std::vector<Build> completed_before(int64_t time);
    void wish_cancel(const std::string& id);
    void set_run(const std::string& id, const std::string& run);
    void set_running(const std::string& id);
    void succeed(const std::string& id, const std::string& image, int64_t size, const std::string& checksum);
    void end(const std::string& id, const std::string& state, const std::string& message);
    void remove(const std::string& id);

private:
    std::vector<Build> select(const std::string& where, const std::vector<Value>& values);
    Database& db_;
};

}  // namespace hub
