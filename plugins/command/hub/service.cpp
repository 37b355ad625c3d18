#include "hub/service.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "hub/server/json_text.hpp"

#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

std::string made(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) throw Error(Code::io, "cannot make '" + directory + "': " + std::strerror(errno));
    return directory;
}

}  // namespace

Service::Service(std::string d) : data(made(d)), database(data + "/hub.db"), accounts(database), blobs(directory_blobs(data)) {
    database.transaction([&] {
        if (database.query("SELECT 1 FROM meta WHERE key = 'secret'").empty()) database.change("INSERT INTO meta VALUES('secret', ?)", {random_hex(32)});
    });
    secret = database.query("SELECT value FROM meta WHERE key = 'secret'").at(0).text(0);
}

void add_base_routes(Service& service, Router& router) {
    router.add("GET", "/healthz", Access::open, [&](Request&, Reply& reply) {
        service.database.query("SELECT 1 FROM meta");
        reply.send(200, "text/plain; charset=utf-8", "ok\n");
    });
    router.add("GET", "/version", Access::open, [](Request&, Reply& reply) {
        reply.data(JsonObject().add("version", "v1.0.0").add("apiVersion", "2.0.0-alpha.2").text());
    });
    router.add("GET", "/assets/config/config.prod.json", Access::open, [&](Request& request, Reply& reply) {
        JsonObject out;
        for (const char* name : {"libraryAPI", "keystoreAPI", "tokenAPI", "builderAPI"})
            if (service.builds || std::string_view(name) != "builderAPI") out.raw(name, JsonObject().add("uri", request.base).text());
        reply.send(200, "application/json; charset=utf-8", out.text());
    });
    router.add("GET", "/v1/token-status", Access::open, [](Request& request, Reply& reply) {
        if (!request.identity) throw HttpError{401, "there is no token in the request"};
        reply.data(JsonObject().add("username", request.identity.name).add("scopes", scope_text(request.identity.scopes)).text());
    });
    router.add("GET", "/metrics", Access::open, [&](Request&, Reply& reply) {
        const auto& c = service.counts;
        std::string out;
        for (const auto& [name, type, value] : {std::tuple{"requests_total", "counter", c.requests.load()}, {"failures_total", "counter", c.failures.load()},
                                                {"sent_bytes_total", "counter", c.bytes.load()}, {"connections_total", "counter", c.connections.load()}, {"busy_threads", "gauge", c.busy.load()}})
            out += "# TYPE singularity_hub_" + std::string(name) + " " + type + "\nsingularity_hub_" + name + " " + std::to_string(value) + "\n";
        reply.send(200, "text/plain; version=0.0.4", out);
    });
}

void add_all_routes(Service& service, Router& router) {
    add_base_routes(service, router);
    add_account_routes(service, router);
    add_keystore_routes(service, router);
    add_library_routes(service, router);
    add_overview_routes(service, router);
    add_web_routes(service, router);
}

Collected collect_garbage(Service& service) {
    Collected out;
    auto& db = service.database;
    // In the write lock: an upload becomes a blob, and its image's row is written, in one such transaction.
    db.transaction([&] {
        db.change("DELETE FROM uploads WHERE expires < ?", {now()});
        for (const auto& upload : service.blobs->list_uploads()) {
            if (!db.query("SELECT 1 FROM uploads WHERE id = ?", {upload}).empty()) continue;
            service.blobs->remove_upload(upload);
            ++out.uploads;
        }
    });
    for (const auto& hash : service.blobs->list())
        db.transaction([&] {
            if (!db.query("SELECT 1 FROM images WHERE hash = ? AND uploaded = 1", {"sha256." + hash}).empty()) return;
            struct stat s {};
            if (const File f = service.blobs->open(hash); f && ::fstat(f.fd(), &s) == 0) out.bytes += static_cast<uint64_t>(s.st_size);
            service.blobs->remove(hash);
            ++out.blobs;
        });
    return out;
}

std::vector<std::string> find_damage(Service& service) {
    auto out = service.database.damage();
    for (const auto& row : service.database.query("SELECT DISTINCT hash, size FROM images WHERE uploaded = 1")) {
        const std::string hash = row.text(0).substr(7);
        const File file = service.blobs->open(hash);
        struct stat s {};
        if (!file)
            out.push_back("the file of " + row.text(0) + " is missing");
        else if (::fstat(file.fd(), &s) == 0 && s.st_size != row.number(1))
            out.push_back("the file of " + row.text(0) + " has " + std::to_string(s.st_size) + " bytes instead of " + row.text(1));
        else if (file_sha256(file.fd()) != hash)
            out.push_back("the file of " + row.text(0) + " has other bytes than were uploaded");
    }
    return out;
}

}  // namespace hub
