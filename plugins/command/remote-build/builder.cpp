#include "remote-build/builder.hpp"

#include <algorithm>
#include <singularity/transport.hpp>
#include <utility>

#include "remote-build/websocket.hpp"
#include "remotes/url.hpp"

namespace remote_build {

namespace json = singularity::json;

namespace {

constexpr uint32_t answer_ms = 30'000;  // what other clients wait for an answer

bool success(unsigned status) { return status >= 200 && status <= 299; }

bool is_id(const std::string& id) {
    return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    });
}

}  // namespace

std::string json_of(const BuildRequest& r) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    const auto member = [&](const char* key, const std::string& value) { w.Key(key), w.String(value.data(), static_cast<unsigned>(value.size())); };
    w.StartObject();
    member("definitionRaw", r.definition);
    member("libraryRef", r.library_ref);
    if (!r.library_url.empty()) member("libraryURL", r.library_url);
    w.Key("builderRequirements"), w.StartObject(), member("arch", r.arch), w.EndObject();
    if (!r.context_digest.empty()) member("contextDigest", r.context_digest);
    if (!r.directory.empty()) member("workingDir", r.directory);
    w.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

BuildInfo build_info(const std::string& text, const std::string& where) {
    const std::string what = "the answer of the builder at " + where;
    const json::Document document(text, what, remotes::max_answer);
    const auto root = document.root();
    BuildInfo info;
    info.id = root["id"].text();
    if (!is_id(info.id)) throw Error(Code::corrupt, what + " has the build id \"" + json::printable(info.id) + "\", which is none");
    info.complete = root["isComplete"].boolean_or(false);
    info.size = static_cast<uint64_t>(std::max<int64_t>(root["imageSize"].integer_or(0), 0));
    info.checksum = root["imageChecksum"].text_or();
    info.library_ref = root["libraryRef"].text_or();
    info.library_url = root["libraryURL"].text_or();
    // Shown to the user, so it must be the builder's own.
    const std::string page = root["webURL"].text_or();
    if (page.size() <= 2048 && page == json::printable(page, 2048) && page.find(' ') == std::string::npos &&
        remotes::same_origin(page, where))
        info.page = page;
    info.message = root["message"].is_text() ? json::printable(root["message"].text(), 300) : "";
    return info;
}

BuildInfo Builder::submit(const BuildRequest& request, const Host& host) const {
    remotes::Call call;
    call.method = "POST";
    call.path = "v1/build";
    call.json = json_of(request);
    call.timeout_ms = answer_ms;
    const auto data = service_.data(call, host);
    if (!data) throw Error(Code::not_found, "the server at " + url() + " is no builder: it does not know v1/build", "Name the builder's own address: --builder URL.");
    return build_info(*data, url());
}

BuildInfo Builder::status(const std::string& id, const Host& host) const {
    remotes::Call call;
    call.path = "v1/build/" + id;
    call.timeout_ms = answer_ms;
    const auto data = service_.data(call, host);
    if (!data) throw Error(Code::not_found, "the builder at " + url() + " does not know build " + id + " any more");
    const BuildInfo info = build_info(*data, url());
    if (info.id != id) throw Error(Code::corrupt, "the builder at " + url() + " answers with build " + info.id + " when asked for build " + id);
    return info;
}

void Builder::cancel(const std::string& id, const Host& host) const {
    remotes::Call call;
    call.method = "PUT";
    call.path = "v1/build/" + id + "/_cancel";
    call.timeout_ms = answer_ms / 3;
    const auto reply = service_.ask(call, host);
    if (!success(reply.status)) service_.refuse(reply, "cannot cancel build " + id);
}

void Builder::upload(const Context& context, const Host& host) const {
    remotes::Call offer;
    offer.method = "POST";
    offer.path = "v1/build-context";
    offer.json = "{\"size\":" + std::to_string(context.size()) + ",\"digest\":\"" + context.digest() + "\"}";
    offer.timeout_ms = answer_ms;
    std::string location;
    {
        auto answer = service_.send(offer, host);
        const unsigned status = answer.status();
        location = answer.header("Location");
        const auto body = answer.body();
        const std::string text = singularity::read_all(*body, remotes::max_answer, "the answer of the builder at " + url());
        if (!success(status)) service_.refuse({status, text}, "cannot send the files of %files");
    }
    if (location.empty()) return;
    singularity::Task task = host.task("Sending the files of %files", context.size());
    remotes::Call put;
    put.method = "PUT";
    // Relative to the base, as Go resolves it.
    put.path = location.find("://") != std::string::npos ? location : location.starts_with('/') ? url().substr(0, url().find('/', url().find("://") + 3)) + location : location;
    put.with_token = false;
    put.max_redirects = 0;
    put.body = [&] {
        return std::make_unique<singularity::CountedStream>(
            context.stream(), 0, [&, sent = uint64_t(0)](uint64_t at) mutable { task.advance(at - std::exchange(sent, at)); });
    };
    put.body_size = context.size();
    const auto reply = service_.ask(put, host);
    if (!success(reply.status)) service_.refuse(reply, "cannot send the files of %files");
    task.done();
}

void Builder::remove_context(const std::string& digest, const Host& host) const {
    remotes::Call call;
    call.method = "DELETE";
    call.path = "v1/build-context/" + digest;
    call.timeout_ms = answer_ms / 3;
    const auto reply = service_.ask(call, host);
    if (!success(reply.status) && reply.status != 404) service_.refuse(reply, "cannot remove the files of %files from the builder");
}

void Builder::log(const std::string& id, const std::function<void(std::string_view)>& text, const Host& host) const {
    const std::string address = url() + "/v1/build-ws/" + id, authorization = "Bearer " + service_.token();
    auto fields = websocket_fields();
    std::vector<sg_header> headers;
    for (const auto& [name, value] : fields) headers.push_back({name.c_str(), value.c_str(), 0});
    if (!service_.token().empty()) headers.push_back({"Authorization", authorization.c_str(), 1});
    headers.push_back({nullptr, nullptr, 0});
    sg_request request = singularity::plain_request(address.c_str());
    request.headers = headers.data();
    const std::string scheme = address.substr(0, address.find(':'));
    WebSocket socket(singularity::upgrade(host, scheme.c_str(), request, "websocket"));
    uint16_t code = 0;
    try {
        code = socket.read(text);
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        throw Error(e.code(), "the log of build " + id + " broke off: " + e.message(), e.hint());
    }
    if (code != 1000 && code != 1005) throw Error(Code::network, "the builder ended the log of build " + id + " with close code " + std::to_string(code));
}

}  // namespace remote_build
