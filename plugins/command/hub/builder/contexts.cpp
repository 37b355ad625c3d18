#include "hub/builder/contexts.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <singularity/error.hpp>

#include "hub/library/uploads.hpp"

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

constexpr int64_t lifetime = 24 * 3600;

}  // namespace

Contexts::Contexts(Service& service, int64_t most_bytes)
    : service_(service), directory_(service.data + "/contexts"), most_(most_bytes) {
    if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST)
        throw Error(Code::io, "cannot make '" + directory_ + "': " + std::strerror(errno));
}

std::string Contexts::file(const std::string& id) const { return directory_ + "/" + id; }

std::string Contexts::begin(int64_t user, const std::string& digest, int64_t size, const std::string& base) {
    if (!valid_hash(digest)) throw HttpError{400, "a build context has a digest: 'sha256.' and 64 hex digits"};
    if (size < 1) throw HttpError{400, "a build context has at least one byte"};
    if (size > most_) throw HttpError{413, "a build context has at most " + std::to_string(most_) + " bytes"};
    auto& db = service_.database;
    std::string id;
    bool there = false;
    db.transaction([&] {
        const auto rows = db.query("SELECT id, uploaded FROM contexts WHERE user = ? AND digest = ?", {user, digest});
        there = !rows.empty() && rows[0].flag(1);
        const int64_t others =
            db.query("SELECT COALESCE(SUM(size), 0) FROM contexts WHERE user = ? AND digest <> ?", {user, digest})
                .at(0)
                .number(0);
        if (!there && others + size > 4 * most_)
            throw HttpError{413, "your build contexts have " + std::to_string(others) + " bytes: delete some"};
        id = rows.empty() ? random_hex(12) : rows[0].text(0);
        if (rows.empty())
            db.change("INSERT INTO contexts(id, user, digest, size, expires) VALUES(?, ?, ?, ?, ?)",
                      {id, user, digest, size, now() + lifetime});
        else
            db.change(
                "UPDATE contexts SET expires = ?, claims = claims + 1, size = CASE WHEN uploaded THEN size ELSE ? "
                "END WHERE id = ?",
                {now() + lifetime, size, id});
    });
    return there ? "" : base + "/upload-context/" + sealed(service_.secret, "context." + id);
}

void Contexts::receive(const std::string& sealed_name, Request& request) {
    const auto name = opened(service_.secret, sealed_name);
    if (!name || !name->starts_with("context.")) throw HttpError{403, "this is no upload address of this hub"};
    const std::string id = name->substr(8);
    auto& db = service_.database;
    const auto rows = db.query("SELECT digest, size FROM contexts WHERE id = ? AND expires > ?", {id, now()});
    if (rows.empty()) throw HttpError{404, "the upload has ended"};
    // Written beside, so that of two at once neither changes what the other has checked.
    const std::string beside = file(id) + "." + random_hex(6);
    try {
        std::string hash;
        {
            const File out(::open(beside.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
            if (!out) throw Error(Code::io, "cannot make '" + beside + "': " + std::strerror(errno));
            hash = body_to_file(request, out.fd(), 0, rows[0].number(1));
        }
        if ("sha256." + hash != rows[0].text(0))
            throw HttpError{400, "the uploaded bytes have the hash sha256." + hash + ", not " + rows[0].text(0)};
        db.transaction([&] {
            // Another may have sent the same bytes meanwhile; a job may have its hands on that file.
            if (db.change("UPDATE contexts SET uploaded = 1, size = ? WHERE id = ?", {rows[0].number(1), id}) == 0)
                throw HttpError{404, "the upload has ended"};
            if (::rename(beside.c_str(), file(id).c_str()) != 0)
                throw Error(Code::io, "cannot keep '" + file(id) + "': " + std::strerror(errno));
        });
    } catch (...) {
        ::unlink(beside.c_str());
        throw;
    }
}

bool Contexts::remove(int64_t user, const std::string& digest) {
    auto& db = service_.database;
    bool found = false;
    db.transaction([&] {
        const auto rows = db.query("SELECT id, claims FROM contexts WHERE user = ? AND digest = ?", {user, digest});
        found = !rows.empty();
        if (!found) return;
        const std::string& id = rows[0].text(0);
        if (rows[0].number(1) > 1) return (void)db.change("UPDATE contexts SET claims = claims - 1 WHERE id = ?", {id});
        ::unlink(file(id).c_str());
        db.change("DELETE FROM contexts WHERE id = ?", {id});
    });
    return found;
}

std::string Contexts::find(int64_t user, const std::string& digest) {
    const auto rows = service_.database.query("SELECT id FROM contexts WHERE user = ? AND digest = ? AND uploaded = 1",
                                              {user, digest});
    if (rows.empty()) throw HttpError{400, "the build context " + digest.substr(0, 71) + " was not uploaded"};
    return rows[0].text(0);
}

void Contexts::sweep() {
    auto& db = service_.database;
    for (const auto& r : db.query("SELECT id FROM contexts WHERE expires < ?", {now()}))
        db.transaction([&] {
            // Somebody may just have claimed it again.
            if (db.change("DELETE FROM contexts WHERE id = ? AND expires < ?", {r.text(0), now()}) > 0)
                ::unlink(file(r.text(0)).c_str());
        });
    // Of uploads that were broken off.
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
        struct stat s {};
        const bool old = ::lstat(entry.path().c_str(), &s) == 0 && s.st_mtime < now() - lifetime;
        if (old && db.query("SELECT 1 FROM contexts WHERE id = ?", {entry.path().filename().string()}).empty())
            ::unlink(entry.path().c_str());
    }
}

}  // namespace hub
