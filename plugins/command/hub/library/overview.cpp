// /api/projects, /api/images, /api/search, /api/admin: what the pages of the hub show (README.md).
#include "hub/library/library.hpp"

#include <singularity/json.hpp>

namespace hub {

void add_overview_routes(Service& service, Router& router) {
    const auto library = std::make_shared<Library>(service);
    auto& db = service.database;
    router.add("GET", "/api/projects", Access::user, [&db](Request& request, Reply& reply) {
        JsonArray out;
        for (const auto& r : db.query("SELECT entities.name, collections.name, collections.description, collections.private, (SELECT COUNT(*) FROM containers WHERE collection = collections.id) "
                                      "FROM collections JOIN entities ON entities.id = entity WHERE entities.name = ? ORDER BY 1, 2", {request.identity.name}))
            out.raw(JsonObject().add("entity", r.text(0)).add("name", r.text(1)).add("description", r.text(2)).add("private", r.flag(3)).add("containers", r.number(4)).text());
        reply.data(out.text());
    });
    router.add("POST", "/api/projects", Access::write, [&db](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(), "the body");
        const std::string name = body.root()["name"].text(), description = body.root()["description"].text_or();
        if (!valid_name(name) || description.size() > 4096) throw HttpError{400, "a project has a name of small letters and digits, and a description of at most 4096 bytes"};
        db.transaction([&] {
            db.change("INSERT OR IGNORE INTO entities VALUES(?, ?, '', ?)", {random_hex(12), request.identity.name, now()});
            const std::string entity = db.query("SELECT id FROM entities WHERE name = ?", {request.identity.name}).at(0).text(0);
            if (db.change("INSERT OR IGNORE INTO collections VALUES(?, ?, ?, ?, ?, ?)", {random_hex(12), entity, name, description, int64_t{body.root()["private"].boolean_or(false)}, now()}) == 0)
                throw HttpError{409, "you have a project of this name already"};
        });
        reply.data(JsonObject().add("entity", request.identity.name).add("name", name).text(), 201);
    });
    // ?entity=E[&collection=C], newest first; without an entity the newest of all.
    router.add("GET", "/api/images", Access::open, [library](Request& request, Reply& reply) {
        const std::string &entity = request.parameter("entity"), &collection = request.parameter("collection");
        const auto& who = request.identity;
        const bool reads = who.may(scope_read);
        JsonArray out;
        for (const auto& c : library->containers("WHERE (entities.name = ? OR ? = '') AND (collections.name = ? OR ? = '') AND (NOT (containers.private OR collections.private) OR entities.name = ? OR ?) "
                                                 "ORDER BY containers.created DESC LIMIT 200", {entity, entity, collection, collection, reads ? who.name : "", int64_t{reads && who.admin}})) {
            JsonArray images;
            for (const auto& i : library->images("WHERE container = ? AND uploaded = 1 ORDER BY created DESC LIMIT 100", {c.id})) images.raw(library->image_json(i, c));
            out.raw(JsonObject().raw("container", library->container_json(c)).raw("images", images.text()).text());
        }
        reply.data(out.text());
    });
    router.add("GET", "/api/definition/{ref*}", Access::open, [library](Request& request, Reply& reply) {
        Container c;
        const auto i = library->image(request.identity, ImageReference::parse(request.arguments[0]), request.parameter("arch"), c);
        reply.data(JsonObject().add("definition", i.definition).text());
    });
    router.add("GET", "/api/search", Access::open, [library](Request& request, Reply& reply) {
        reply.data(library->search_json(request.identity, request.parameter("value"), request.parameter("arch"), request.parameter("signed") == "true"));
    });
    router.add("GET", "/api/admin", Access::admin, [&service, &db](Request&, Reply& reply) {
        const auto blobs = db.query("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM (SELECT DISTINCT hash, size FROM images WHERE uploaded = 1)").at(0);
        reply.data(JsonObject().raw("storage", JsonObject().add("blobs", blobs.number(0)).add("bytes", blobs.number(1)).add("free", service.blobs->free_bytes()).text())
                       .add("users", db.query("SELECT COUNT(*) FROM users").at(0).number(0)).add("uploads", db.query("SELECT COUNT(*) FROM uploads").at(0).number(0)).text());
    });
}

}  // namespace hub
