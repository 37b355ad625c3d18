// The pages: one frame for every address, which the script fills, and the files that it names.
#include "hub/service.hpp"
#include "hub/web/files.hpp"

namespace hub {

namespace {

const WebFile& file_of(std::string_view name) {
    for (const auto& file : web_files())
        if (file.name == name) return file;
    throw HttpError{404, "there is nothing at this path"};
}

// Scripts, styles and pictures are this hub's own, none stands within a page, and no other site may frame it.
void send(const WebFile& file, Request& request, Reply& reply) {
    reply.http.set("Content-Security-Policy",
                   "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    reply.http.set("Referrer-Policy", "no-referrer");
    reply.http.set("Cross-Origin-Opener-Policy", "same-origin");
    reply.http.set("Cross-Origin-Resource-Policy", "same-origin");
    reply.http.set("Cache-Control", "no-cache");
    reply.http.set("ETag", std::string(file.etag));
    if (request.http.get("If-None-Match", "") == file.etag) return reply.empty(304);
    reply.send(200, std::string(file.type), file.bytes);
}

}  // namespace

void add_web_routes(Service&, Router& router) {
    for (const char* page : {"/", "/search", "/library", "/library/{entity}", "/library/{entity}/{collection}", "/library/{entity}/{collection}/{name}", "/build", "/build/{id}", "/keys",
                             "/login", "/auth/tokens", "/admin"})
        router.add("GET", page, Access::open, [](Request& request, Reply& reply) { send(file_of("index.html"), request, reply); });
    router.add("GET", "/web/{name}", Access::open, [](Request& request, Reply& reply) { send(file_of(request.arguments[0]), request, reply); });
}

}  // namespace hub
