#include "engine.hpp"

#include <algorithm>
#include <charconv>
#include <singularity/text.hpp>
#include <singularity/digest.hpp>
#include <singularity/json.hpp>
#include <singularity/transport.hpp>

namespace docker_daemon {

namespace json = singularity::json;

namespace {

constexpr unsigned our_minor = 48;               // the newest version that we know of
constexpr uint64_t max_document = 4 << 20;       // bytes of an inspection
constexpr uint64_t max_message = 64 << 10;       // bytes of an error
constexpr uint32_t patience_ms = 60000;          // until an answer about an image
constexpr uint32_t gathering_ms = 1800000;       // until the first byte of the image itself: engines gather it before

// A body together with the answer that it belongs to.
class Body final : public Stream {
public:
    explicit Body(singularity::ForeignResponse response) : response_(std::move(response)), body_(response_.body()) {}
    singularity::Slice next() override { return body_->next(); }

private:
    singularity::ForeignResponse response_;
    std::unique_ptr<Stream> body_;
};

// Where the engine was looked for is what the user can change.
Error unreachable(const Endpoint& at, const Error& e) {
    const std::string hint = e.code() == Code::permission
                                 ? "Users of the Docker engine belong to the group docker; or run this as root."
                             : e.code() == Code::not_found && !at.socket.empty()
                                 ? "Does the engine run? Another one is named by --docker-host or DOCKER_HOST, as unix:///run/user/1000/docker.sock."
                                 : e.hint();
    return Error(e.code(), "cannot ask the Docker engine at " + at.shown + ": " + e.message(), hint, e.detail());
}

singularity::ForeignResponse get(const Endpoint& at, const std::string& path, uint32_t idle_ms, const Host& host) {
    const std::string url = at.base + path;
    sg_request request = singularity::plain_request(url.c_str());
    request.max_redirects = 0;
    request.tls = {at.verify ? 1 : 0, at.ca_file.c_str(), at.client_cert.c_str(), at.client_key.c_str()};
    request.idle_timeout_ms = idle_ms;
    try {
        return singularity::send(host, at.scheme.c_str(), request);
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        throw unreachable(at, e);
    }
}

// {"message": TEXT}, else the beginning of what came.
std::string message_of(singularity::ForeignResponse& response) {
    std::string body;
    try {
        const auto stream = response.body();
        body = singularity::read_all(*stream, max_message, "the engine's message");
        const json::Document document(body, "the engine's message");
        if (const std::string text = document.root()["message"].text_or(); !text.empty()) return json::printable(text, 400);
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
    }
    return json::printable(body, 200);
}

[[noreturn]] void refused(const Endpoint& at, const std::string& name, singularity::ForeignResponse& response) {
    const unsigned status = response.status();
    const std::string said = message_of(response);
    if (status == 404)
        throw Error(Code::not_found, "the Docker engine at " + at.shown + " has no image " + name + (said.empty() ? "" : ": " + said),
                    "\"docker images\" shows what it has; docker:// fetches from a registry.");
    throw Error(Code::io, "the Docker engine at " + at.shown + " answers with HTTP status " + std::to_string(status) + (said.empty() ? "" : ": " + said));
}

}  // namespace

Engine::Version Engine::parse_version(const std::string& text, const std::string& where) {
    Version v;
    const char* end = text.data() + text.size();
    const auto [dot, bad_major] = std::from_chars(text.data(), end, v.major);
    if (bad_major == std::errc{} && dot != end && *dot == '.') {
        const auto [last, bad_minor] = std::from_chars(dot + 1, end, v.minor);
        if (bad_minor == std::errc{} && last == end && v.major == 1) return v;
    }
    throw Error(Code::invalid, where + " is no version of the Docker Engine API: \"" + json::printable(text, 40) + "\"");
}

void Engine::agree_on_version() {
    if (agreed_) return;
    if (!endpoint_.version.empty()) {
        version_ = parse_version(endpoint_.version, "DOCKER_API_VERSION");
    } else {
        auto response = get(endpoint_, "/_ping", patience_ms, host_);
        if (response.status() != 200)
            throw Error(Code::network, endpoint_.shown + " is no Docker engine: it answers with HTTP status " + std::to_string(response.status()) + " to /_ping");
        // Engines without this header are older than 1.25.
        if (const std::string theirs = response.header("Api-Version"); !theirs.empty())
            version_ = parse_version(theirs, "what the engine at " + endpoint_.shown + " says");
        version_.minor = std::min(version_.minor, our_minor);
    }
    agreed_ = true;
    host_.debug("the Docker engine at " + endpoint_.shown + " is spoken to in version " + version_.text());
}

bool Engine::knows_platforms() {
    agree_on_version();
    return version_.minor >= 48;
}

Inspected Engine::inspect(const std::string& name) {
    agree_on_version();
    // A checked reference holds nothing that a URL's path cannot.
    auto response = get(endpoint_, "/v" + version_.text() + "/images/" + name + "/json", patience_ms, host_);
    if (response.status() != 200) refused(endpoint_, name, response);
    const std::string where = "what the Docker engine at " + endpoint_.shown + " says of " + name;
    const auto stream = response.body();
    const json::Document document(singularity::read_all(*stream, max_document, where), where, max_document);
    const json::Value root = document.root();
    Inspected out;
    out.id = root["Id"].text();
    if (out.id.find(':') == std::string::npos) out.id.insert(0, "sha256:");
    singularity::Digest::parse(out.id, where);
    out.os = root["Os"].text_or();
    out.architecture = root["Architecture"].text_or();
    out.variant = root["Variant"].text_or();
    out.tags = root["RepoTags"].texts();
    return out;
}

std::unique_ptr<Stream> Engine::export_image(const std::string& name, const std::string& platform) {
    agree_on_version();
    std::string path = "/v" + version_.text() + "/images/get?names=" + singularity::percent_encoded(name);
    if (!platform.empty()) path += "&platform=" + singularity::percent_encoded(platform);
    auto response = get(endpoint_, path, gathering_ms, host_);
    if (response.status() != 200) refused(endpoint_, name, response);
    return std::make_unique<Body>(std::move(response));
}

}  // namespace docker_daemon
