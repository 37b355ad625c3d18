#include "hub/builder/builds.hpp"

#include "hub/accounts/accounts.hpp"
#include "hub/server/router.hpp"

namespace hub {

std::vector<Build> Builds::select(const std::string& where, const std::vector<Value>& values) {
    std::vector<Build> out;
    for (const auto& r : db_.query("SELECT builds.id, user, users.name, state, run, cancelled, definition, directory, "
                                   "context, reference, temporary, base, message, image, size, checksum, submitted, "
                                   "started, completed FROM builds JOIN users ON users.id = user " +
                                       where,
                                   values))
        out.push_back({r.text(0), r.number(1), r.text(2), r.text(3), r.text(4), r.flag(5), r.text(6), r.text(7),
                       r.text(8), r.text(9), r.flag(10), r.text(11), r.text(12), r.text(13), r.number(14), r.text(15),
                       r.number(16), r.number(17), r.number(18)});
    return out;
}

void Builds::add(const Build& b) {
    db_.transaction([&] {
        if (db_.query("SELECT COUNT(*) FROM builds WHERE user = ? AND state IN ('queued', 'running')", {b.user})
                .at(0)
                .number(0) >= most_waiting)
            throw HttpError{429, "you have " + std::to_string(most_waiting) +
                                     " builds that are not done: wait for one, or cancel it"};
        db_.change(
            "INSERT INTO builds(id, user, state, definition, directory, context, reference, temporary, base, "
            "submitted) VALUES(?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)",
            {b.id, b.user, b.definition, b.directory, b.context, b.reference, int64_t{b.temporary}, b.base, now()});
    });
}

std::optional<Build> Builds::find(const std::string& id) {
    auto found = select("WHERE builds.id = ?", {id});
    if (found.empty()) return std::nullopt;
    return std::move(found[0]);
}

std::vector<Build> Builds::unfinished() {
    return select("WHERE state IN ('queued', 'running') ORDER BY submitted, builds.rowid", {});
}

std::vector<Build> Builds::newest(int64_t user, size_t most) {
    return select("WHERE user = ? OR ? = 0 ORDER BY submitted DESC, builds.rowid DESC LIMIT ?",
                  {user, user, static_cast<int64_t>(most)});
}

std::vector<Build> Builds::completed_before(int64_t time) {
    return select("WHERE completed > 0 AND completed < ?", {time});
}
void Builds::wish_cancel(const std::string& id) { db_.change("UPDATE builds SET cancelled = 1 WHERE id = ?", {id}); }
void Builds::set_run(const std::string& id, const std::string& run) {
    db_.change("UPDATE builds SET run = ? WHERE id = ?", {run, id});
}
void Builds::set_running(const std::string& id) {
    db_.change("UPDATE builds SET state = 'running', started = ? WHERE id = ? AND state = 'queued'", {now(), id});
}

void Builds::succeed(const std::string& id, const std::string& image, int64_t size, const std::string& checksum) {
    db_.change("UPDATE builds SET state = 'succeeded', image = ?, size = ?, checksum = ?, completed = ? WHERE id = ?",
               {image, size, checksum, now(), id});
}

void Builds::end(const std::string& id, const std::string& state, const std::string& message) {
    db_.change("UPDATE builds SET state = ?, message = ?, completed = ? WHERE id = ?", {state, message, now(), id});
}

void Builds::remove(const std::string& id) { db_.change("DELETE FROM builds WHERE id = ?", {id}); }

}  // namespace hub
