// The Library's API, v1 and v2, as its clients call it.
#include "hub/library/uploads.hpp"

#include <iostream>

#include <singularity/json.hpp>

namespace hub {

namespace {

struct Parts {
    explicit Parts(Service& s) : service(s), library(s), uploads(s, library) {}
    Service& service;
    Library library;
    Uploads uploads;
};

std::string entity_json(const std::string& id, const std::string& name, const std::string& description, int64_t created) {
    return JsonObject().add("id", id).add("name", name).add("description", description).raw("collections", "[]").add("size", 0).add("quota", 0).add("defaultPrivate", false)
        .add("deleted", false).add("createdBy", name).add("createdAt", time_json(created)).text();
}

std::string collection_json(const Row& r) {  // id, name, description, private, created, entity id, entity name
    return JsonObject().add("id", r.text(0)).add("name", r.text(1)).add("description", r.text(2)).raw("containers", "[]").add("size", 0).add("private", r.flag(3))
        .add("deleted", false).add("createdAt", time_json(r.number(4))).add("createdBy", r.text(6)).add("owner", r.text(6)).add("entity", r.text(5)).add("entityName", r.text(6)).text();
}

constexpr const char* collection_columns =
    "SELECT collections.id, collections.name, collections.description, private, collections.created, entities.id, entities.name FROM collections JOIN entities ON entities.id = entity ";

std::string need_name(const std::string& name) {
    if (!valid_name(name)) throw HttpError{400, "a name has small letters and digits, with single '.', '_' or '-' between them, and at most 64 of them"};
    return name;
}

std::string need_description(const std::string& text) {
    if (text.size() > 4096) throw HttpError{400, "a description has at most 4096 bytes"};
    return text;
}

void add_objects(const std::shared_ptr<Parts>& p, Router& router) {
    auto& db = p->service.database;
    router.add("GET", "/v1/entities/{name}", Access::open, [&db](Request& request, Reply& reply) {
        const auto rows = db.query("SELECT id, name, description, created FROM entities WHERE name = ?", {request.arguments[0]});
        if (rows.empty()) throw HttpError{404, "there is no such entity"};
        reply.data(entity_json(rows[0].text(0), rows[0].text(1), rows[0].text(2), rows[0].number(3)));
    });
    router.add("POST", "/v1/entities", Access::write, [&db](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(), "the body");
        const std::string name = need_name(body.root()["name"].text()), description = need_description(body.root()["description"].text_or());
        Library::need_write(request.identity, name);
        db.change("INSERT OR IGNORE INTO entities VALUES(?, ?, ?, ?)", {random_hex(12), name, description, now()});
        const auto r = db.query("SELECT id, name, description, created FROM entities WHERE name = ?", {name}).at(0);
        reply.data(entity_json(r.text(0), r.text(1), r.text(2), r.number(3)), 201);
    });
    router.add("GET", "/v1/collections/{entity}/{name}", Access::open, [&db](Request& request, Reply& reply) {
        const auto rows = db.query(std::string(collection_columns) + "WHERE entities.name = ? AND collections.name = ?", {request.arguments[0], request.arguments[1]});
        if (rows.empty() || !Library::may_see(request.identity, rows[0].flag(3), request.arguments[0])) throw HttpError{404, "there is no such collection"};
        reply.data(collection_json(rows[0]));
    });
    router.add("POST", "/v1/collections", Access::write, [&db](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(), "the body");
        const auto root = body.root();
        const std::string name = need_name(root["name"].text()), entity = root["entity"].text();
        const auto owner = db.query("SELECT name FROM entities WHERE id = ?", {entity});
        if (owner.empty()) throw HttpError{404, "there is no such entity"};
        Library::need_write(request.identity, owner[0].text(0));
        db.change("INSERT OR IGNORE INTO collections VALUES(?, ?, ?, ?, ?, ?)",
                  {random_hex(12), entity, name, need_description(root["description"].text_or()), int64_t{root["private"].boolean_or(false)}, now()});
        reply.data(collection_json(db.query(std::string(collection_columns) + "WHERE entities.id = ? AND collections.name = ?", {entity, name}).at(0)), 201);
    });
    router.add("GET", "/v1/containers/{entity}/{collection}/{name}", Access::open, [p](Request& request, Reply& reply) {
        reply.data(p->library.container_json(p->library.container(request.identity, request.arguments[0], request.arguments[1], request.arguments[2])));
    });
    router.add("POST", "/v1/containers", Access::write, [p, &db](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(), "the body");
        const auto root = body.root();
        const std::string name = need_name(root["name"].text()), collection = root["collection"].text();
        const auto owner = db.query("SELECT entities.name FROM collections JOIN entities ON entities.id = entity WHERE collections.id = ?", {collection});
        if (owner.empty()) throw HttpError{404, "there is no such collection"};
        Library::need_write(request.identity, owner[0].text(0));
        std::string id;
        db.transaction([&] {
            db.change("INSERT OR IGNORE INTO containers(id, collection, name, description, private, created) VALUES(?, ?, ?, ?, ?, ?)",
                      {random_hex(12), collection, name, need_description(root["description"].text_or()), int64_t{root["private"].boolean_or(false)}, now()});
            id = p->library.containers("WHERE collections.id = ? AND containers.name = ?", {collection, name}).at(0).id;
            p->library.reindex(id);
        });
        reply.data(p->library.container_json(p->library.container_by_id(request.identity, id)), 201);
    });
}

void add_images(const std::shared_ptr<Parts>& p, Router& router) {
    auto& db = p->service.database;
    router.add("GET", "/v1/images/{ref*}", Access::open, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image(request.identity, ImageReference::parse(request.arguments[0]), request.parameter("arch"), c);
        reply.data(p->library.image_json(i, c));
    });
    router.add("POST", "/v1/images", Access::write, [p](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(), "the body");
        const auto root = body.root();
        const std::string hash = root["hash"].text();
        if (!valid_hash(hash)) throw HttpError{400, "an image has a hash: 'sha256.' and 64 hex digits"};
        const Container c = p->library.container_by_id(request.identity, root["container"].text());
        Library::need_write(request.identity, c.entity_name);
        reply.data(p->library.image_json(p->library.make_image(c, hash, need_description(root["description"].text_or())), c), 201);
    });
    router.add("DELETE", "/v1/images/{ref*}", Access::write, [p](Request& request, Reply& reply) {
        p->library.remove_image(request.identity, ImageReference::parse(request.arguments[0]), request.parameter("arch"));
        reply.data("{}");
    });
    router.add("GET", "/v1/imagefile/{ref*}", Access::open, [p, &db](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image(request.identity, ImageReference::parse(request.arguments[0]), request.parameter("arch"), c);
        const File file = i.uploaded ? p->service.blobs->open(i.hash.substr(7)) : File();
        if (!file) throw HttpError{404, "the image is not uploaded yet"};
        // A client that fetches parts counts once, with the first. What cannot be counted, on a full disk, is given all the same.
        const std::string range = request.http.get("Range", "");
        if (request.http.getMethod() == "GET" && (range.empty() || range.starts_with("bytes=0-"))) try {
                db.change("UPDATE containers SET downloads = downloads + 1 WHERE id = ?", {c.id});
            } catch (const singularity::Error& e) {
                std::cerr << "WARNING: a download was not counted: " << e.message() << "\n";
            }
        reply.http.set("ETag", "\"" + i.hash + "\"");
        reply.http.set("Cache-Control", "no-store");
        reply.file(file.fd(), static_cast<uint64_t>(i.size), "application/octet-stream", request);
    });
    router.add("POST", "/v1/imagefile/{id}", Access::write, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image_by_id(request.identity, request.arguments[0], c);
        p->uploads.receive_whole(i, c, request);
        reply.data("{}");
    });
    for (const int version : {1, 2}) {
        const std::string pattern = "/v" + std::to_string(version) + "/tags/{container}";
        router.add("GET", pattern, Access::open, [p, version](Request& request, Reply& reply) {
            const auto c = p->library.container_by_id(request.identity, request.arguments[0]);
            const std::string text = p->library.container_json(c);
            const singularity::json::Document json(text, "the container");
            reply.data(json.root()[version == 1 ? "imageTags" : "archTags"].dump());
        });
        router.add("POST", pattern, Access::write, [p](Request& request, Reply& reply) {
            const singularity::json::Document body(request.body(), "the body");
            const auto root = body.root();
            p->library.set_tag(request.identity, request.arguments[0], root["Arch"].text_or(), root["Tag"].text(), root["ImageID"].text());
            reply.data("{}");
        });
    }
    router.add("GET", "/v1/search", Access::open, [p](Request& request, Reply& reply) {
        reply.data(p->library.search_json(request.identity, request.parameter("value"), request.parameter("arch"), request.parameter("signed") == "true"));
    });
}

std::string completed_json(Parts& p, const Container& c) {
    const auto quota = p.service.database.query("SELECT quota FROM users WHERE name = ?", {c.entity_name});
    return JsonObject().raw("quota", JsonObject().add("quotaTotal", quota.empty() ? 0 : quota[0].number(0)).add("quotaUsage", p.library.used_bytes(c.entity)).text())
        .add("containerUrl", "/library/" + c.entity_name + "/" + c.collection_name + "/" + c.name).text();
}

void add_uploads(const std::shared_ptr<Parts>& p, Router& router) {
    router.add("POST", "/v2/imagefile/{id}", Access::write, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image_by_id(request.identity, request.arguments[0], c);
        const singularity::json::Document body(request.body(), "the body");
        const auto begun = p->uploads.begin(i, body.root()["filesize"].size(), false);
        reply.data(JsonObject().add("uploadURL", p->uploads.url(request.base, begun.id, 1)).text());
    });
    router.add("PUT", "/upload/{signed}", Access::open, [p](Request& request, Reply& reply) {
        reply.http.set("ETag", "\"" + p->uploads.receive(request.arguments[0], request) + "\"");
        reply.empty(200);
    }, true);
    router.add("PUT", "/v2/imagefile/{id}/_complete", Access::write, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image_by_id(request.identity, request.arguments[0], c);
        p->uploads.complete(i, c, p->uploads.newest_of(i), {});
        reply.data(completed_json(*p, c));
    });
    router.add("POST", "/v2/imagefile/{id}/_multipart", Access::write, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image_by_id(request.identity, request.arguments[0], c);
        const singularity::json::Document body(request.body(), "the body");
        const auto begun = p->uploads.begin(i, body.root()["filesize"].size(), true);
        reply.data(JsonObject().add("uploadID", begun.id).add("totalParts", begun.parts).add("partSize", begun.part_size).raw("options", "{\"s3compliant\":\"true\"}").text());
    });
    router.add("PUT", "/v2/imagefile/{id}/_multipart", Access::write, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image_by_id(request.identity, request.arguments[0], c);
        const singularity::json::Document body(request.body(), "the body");
        const std::string upload = body.root()["uploadID"].text();
        const int64_t number = body.root()["partNumber"].integer();
        const auto rows = p->service.database.query("SELECT size, part_size FROM uploads WHERE id = ? AND image = ?", {upload, i.id});
        if (rows.empty()) throw HttpError{404, "there is no such upload"};
        if (number < 1 || number > Uploads::most_parts || (number - 1) * rows[0].number(1) >= rows[0].number(0)) throw HttpError{400, "the upload has no part " + std::to_string(number)};
        reply.data(JsonObject().add("presignedURL", p->uploads.url(request.base, upload, number)).text());
    });
    router.add("PUT", "/v2/imagefile/{id}/_multipart_complete", Access::write, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image_by_id(request.identity, request.arguments[0], c);
        const singularity::json::Document body(request.body(4 << 20), "the body");
        std::map<int64_t, std::string> tokens;
        for (const auto& part : body.root()["completedParts"].list()) tokens[part["partNumber"].integer()] = part["token"].text();
        p->uploads.complete(i, c, body.root()["uploadID"].text(), tokens);
        reply.data(completed_json(*p, c));
    });
    router.add("PUT", "/v2/imagefile/{id}/_multipart_abort", Access::write, [p](Request& request, Reply& reply) {
        Container c;
        const auto i = p->library.image_by_id(request.identity, request.arguments[0], c);
        const singularity::json::Document body(request.body(), "the body");
        p->uploads.abort(i, body.root()["uploadID"].text());
        reply.data("{}");
    });
}

}  // namespace

void add_library_routes(Service& service, Router& router) {
    const auto parts = std::make_shared<Parts>(service);
    add_objects(parts, router);
    add_images(parts, router);
    add_uploads(parts, router);
}

}  // namespace hub
