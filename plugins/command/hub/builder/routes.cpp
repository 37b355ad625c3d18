// The Build API of the family's clients, and what the page of the builder needs besides.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <singularity/json.hpp>

#include "hub/builder/builder.hpp"
#include "hub/builder/definition.hpp"
#include "hub/builder/logs.hpp"
#include "hub/server/json_text.hpp"
#include "hub/server/websocket.hpp"

namespace hub {

namespace {

constexpr size_t most_viewers = 4096;

JsonObject build_json(const Build& b) {
    JsonObject out;
    out.add("id", b.id)
        .add("state", b.state)
        .add("isComplete", b.done())
        .add("imageSize", b.size)
        .add("imageChecksum", b.checksum)
        .add("libraryRef", "library://" + b.reference)
        .add("libraryURL", b.base)
        .add("wsURL", (b.base.starts_with("https:") ? "wss" + b.base.substr(5)
                                                    : "ws" + b.base.substr(std::min<size_t>(4, b.base.size()))) +
                          "/v1/build-ws/" + b.id)
        .add("webURL", b.base + "/build/" + b.id)
        .add("createdBy", b.user_name)
        .add("submitTime", time_json(b.submitted))
        .add("message", b.message);
    if (b.started > 0) out.add("startTime", time_json(b.started));
    if (b.completed > 0) out.add("completeTime", time_json(b.completed));
    return out;
}

// Its owner's and the administrators' alone; for others it is not there.
Build need_build(Builder& builder, const Request& request) {
    auto build = builder.builds().find(request.arguments[0]);
    if (!build || (build->user != request.identity.user && !request.identity.admin))
        throw HttpError{404, "there is no such build"};
    return std::move(*build);
}

bool has_word(const std::string& list, const char* word) {
    for (size_t at = 0; at <= list.size();) {
        const size_t end = std::min(list.find(',', at), list.size());
        const size_t first = list.find_first_not_of(" \t", at);
        size_t last = end;
        while (last > at && (list[last - 1] == ' ' || list[last - 1] == '\t')) --last;
        if (first < last && last - first == std::strlen(word) &&
            ::strncasecmp(list.c_str() + first, word, last - first) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

void watch(Builder& builder, LogViewers& viewers, Request& request, Reply& reply) {
    const Build build = need_build(builder, request);
    const auto& http = request.http;
    if (!has_word(http.get("Upgrade", ""), "websocket") || !has_word(http.get("Connection", ""), "upgrade"))
        throw HttpError{426, "this is for WebSockets"};
    if (http.get("Sec-WebSocket-Version", "") != "13") {
        reply.http.set("Sec-WebSocket-Version", "13");
        throw HttpError{426, "WebSockets of version 13 are spoken here"};
    }
    const std::string key = http.get("Sec-WebSocket-Key", "");
    if (!valid_websocket_key(key)) throw HttpError{400, "Sec-WebSocket-Key is not well formed"};
    // Browsers send cookies with what a page of another site opens; that page's address tells.
    if (!request.cookie.empty() && http.has("Origin") && http.get("Origin") != request.base)
        throw HttpError{403, "another site asks with this session"};
    if (viewers.count() >= most_viewers) throw HttpError{503, "too many watch logs already"};
    viewers.add(reply.upgrade(request, websocket_answer(key)), build.id, builder.log_file(build.id));
}

void add_api(Builder& builder, LogViewers& viewers, Router& router) {
    router.add("POST", "/v1/build", Access::build, [&builder](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(4 << 20), "the body");
        const auto root = body.root();
        const std::string arch = root["builderRequirements"]["arch"].text_or();
#if defined(__x86_64__)
        const std::string own = "amd64";
#elif defined(__aarch64__)
        const std::string own = "arm64";
#else
        const std::string own = "";
#endif
        if (!arch.empty() && !own.empty() && arch != own)
            throw HttpError{400, "this hub builds for " + own + " only, not for " + arch};
        BuildRequest wanted;
        wanted.definition = definition_text(root);
        wanted.reference = root["libraryRef"].text_or();
        wanted.context = root["contextDigest"].text_or();
        wanted.directory = root["workingDir"].text_or();
        wanted.base = request.base;
        reply.data(build_json(builder.submit(request.identity, wanted)).text(), 201);
    });
    router.add("GET", "/v1/build/{id}", Access::build, [&builder](Request& request, Reply& reply) {
        reply.data(build_json(need_build(builder, request)).text());
    });
    router.add("PUT", "/v1/build/{id}/_cancel", Access::build, [&builder](Request& request, Reply& reply) {
        builder.cancel(need_build(builder, request).id);
        reply.empty(204);
    });
    router.add("GET", "/v1/build-ws/{id}", Access::build,
               [&builder, &viewers](Request& request, Reply& reply) { watch(builder, viewers, request, reply); });
    router.add("POST", "/v1/build-context", Access::build, [&builder](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(), "the body");
        const std::string address = builder.contexts().begin(request.identity.user, body.root()["digest"].text(),
                                                             body.root()["size"].integer(), request.base);
        if (!address.empty()) reply.http.set("Location", address);
        reply.data("{}", address.empty() ? 200 : 201);
    });
    router.add(
        "PUT", "/upload-context/{sealed}", Access::open,
        [&builder](Request& request, Reply& reply) {
            builder.contexts().receive(request.arguments[0], request);
            reply.empty(200);
        },
        true);
    router.add("DELETE", "/v1/build-context/{digest}", Access::build, [&builder](Request& request, Reply& reply) {
        if (!builder.contexts().remove(request.identity.user, request.arguments[0]))
            throw HttpError{404, "there is no such build context"};
        reply.empty(204);
    });
}

}  // namespace

void add_build_routes(Service& service, Builder& builder, LogViewers& viewers, Router& router) {
    add_api(builder, viewers, router);
    // ?all=1: everybody's, for administrators. Newest first.
    router.add("GET", "/api/builds", Access::build, [&builder](Request& request, Reply& reply) {
        const bool all = request.parameter("all") == "1";
        if (all && !request.identity.admin) throw HttpError{403, "only an administrator may see everybody's builds"};
        JsonArray out;
        for (const auto& b : builder.builds().newest(all ? 0 : request.identity.user, 100))
            out.raw(build_json(b).text());
        reply.data(out.text());
    });
    router.add("GET", "/api/builds/{id}", Access::build, [&builder](Request& request, Reply& reply) {
        const Build b = need_build(builder, request);
        reply.data(build_json(b).add("definition", b.definition).text());
    });
    router.add("GET", "/api/builds/{id}/log", Access::build, [&builder](Request& request, Reply& reply) {
        const Build b = need_build(builder, request);
        const File log(::open(builder.log_file(b.id).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        struct stat s {};
        if (!log || ::fstat(log.fd(), &s) != 0) throw HttpError{404, "the log of this build is not kept any more"};
        reply.http.set("Cache-Control", "no-store");
        reply.http.set("Content-Disposition", "attachment; filename=\"build-" + b.id + ".log\"");
        reply.file(log.fd(), static_cast<uint64_t>(s.st_size), "text/plain; charset=utf-8", request);
    });
    router.add("GET", "/api/builds/{id}/image", Access::build, [&service, &builder](Request& request, Reply& reply) {
        const Build b = need_build(builder, request);
        const bool there =
            valid_hash(b.checksum) &&
            !service.database
                 .query("SELECT 1 FROM images WHERE id = ? AND hash = ? AND uploaded = 1", {b.image, b.checksum})
                 .empty();
        const File file = there ? service.blobs->open(b.checksum.substr(7)) : File();
        if (!file) throw HttpError{404, "the image of this build is not kept any more"};
        reply.http.set("Cache-Control", "no-store");
        reply.http.set("Content-Disposition", "attachment; filename=\"build-" + b.id + ".sif\"");
        reply.file(file.fd(), static_cast<uint64_t>(b.size), "application/octet-stream", request);
    });
}

}  // namespace hub
