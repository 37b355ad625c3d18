#include "registry/upload.hpp"

#include <singularity/text.hpp>

#include <algorithm>
#include <charconv>
#include <singularity/json.hpp>
#include <singularity/transport.hpp>

namespace registry {
namespace {

constexpr uint64_t a_day = 24 * 60 * 60;  // seconds; registries forget what was broken off after some time

std::string with_digest(const Url& location, const sources::Digest& digest) {
    return location.text() + (location.rest.find('?') == std::string::npos ? "?" : "&") + "digest=" +
           singularity::percent_encoded(digest.text());
}

// "0-B" or "bytes=0-B" -> B + 1; nullopt when it is none. "0-0" with nothing sent means nothing.
std::optional<uint64_t> received_bytes(std::string_view range) {
    if (range.substr(0, 6) == "bytes=") range.remove_prefix(6);
    if (range.substr(0, 2) != "0-") return std::nullopt;
    range.remove_prefix(2);
    uint64_t last = 0;
    const auto r = std::from_chars(range.data(), range.data() + range.size(), last);
    if (r.ec != std::errc() || r.ptr != range.data() + range.size()) return std::nullopt;
    return last == 0 ? 0 : last + 1;
}

}  // namespace

bool Uploader::present(const Outgoing& blob, const Host& host) {
    Request request;
    request.method = "HEAD";
    request.url = client_.path("blobs/" + blob.digest.text());
    return client_.send(std::move(request), host).status() == 200;
}

void Uploader::moved_to(Session& session, const Answer& answer) const {
    const std::string location = answer.header("Location");
    if (location.empty()) return;
    const auto base = parse_url(answer.url());
    auto url = resolve_location(base ? *base : session.location, location);
    if (!url)
        throw Error(Code::corrupt, "registry " + client_.endpoint().host + " leads the upload to \"" +
                                       singularity::json::printable(location) + "\", which is no http or https URL");
    if (base && url->host != base->host && is_link_local(url->host))
        throw Error(Code::veto, "registry " + client_.endpoint().host + " leads the upload to a link-local address");
    // A registry behind a proxy that does TLS for it knows only http.
    if (base && base->scheme == "https" && url->scheme == "http") {
        if (url->host != base->host)
            throw Error(Code::veto, "registry " + client_.endpoint().host + " leads the upload to http, without encryption");
        url = *base;
        url->rest = resolve_location(*base, location)->rest;
    }
    session.location = *url;
}

// A new upload; nullopt: the blob was mounted and there is nothing to send.
std::optional<Uploader::Session> Uploader::begin(const std::string& query, const std::string& what, const Host& host) {
    Request request;
    request.method = "POST";
    request.url = client_.path("blobs/uploads/") + (query.empty() ? "" : "?" + query);
    Answer answer = client_.send(std::move(request), host);
    if (answer.status() == 201) return std::nullopt;
    if (answer.status() != 202) client_.refuse(std::move(answer), what);
    Session session;
    if (answer.header("Location").empty())
        throw Error(Code::corrupt, what + ": the registry accepts the upload, but tells no Location for it");
    moved_to(session, answer);
    const std::string least = answer.header("OCI-Chunk-Min-Length");
    std::from_chars(least.data(), least.data() + least.size(), session.chunk_min);
    return session;
}

void Uploader::take_back(const Session& session) noexcept {
    try {
        Request request;
        request.method = "DELETE";
        request.url = session.location.text();
        // Also when the user has cancelled the rest: a call of its own.
        client_.send(std::move(request), Host());
    } catch (const std::exception&) {
        // The registry forgets it by itself after a while.
    }
}

std::string Uploader::writing(const Outgoing& blob) const {
    return "Error writing blob " + blob.digest.text() + " to " + client_.endpoint().shown;
}

// "CHUNK-MIN LOCATION"
void Uploader::keep(const Session& session, const Host& host) const {
    if (session.kept) session.kept->put(std::to_string(session.chunk_min) + " " + session.location.text(), host);
}

// The upload that an earlier process did not finish, when the registry still has it.
std::optional<Uploader::Session> Uploader::broken_off(const Outgoing& blob, singularity::State& kept,
                                                      const Host& host) {
    const auto text = kept.get(host);
    if (!text) return std::nullopt;
    Session session;
    const auto number = std::from_chars(text->data(), text->data() + text->size(), session.chunk_min);
    const auto url =
        parse_url(text->substr(std::min<size_t>(static_cast<size_t>(number.ptr - text->data()) + 1, text->size())));
    if (number.ec != std::errc() || !url) return std::nullopt;
    session.location = *url;
    try {
        if (ask_place(session, blob.size, host)) {
            if (session.at > 0) return session;
            take_back(session);
        } else {
            host.info("The registry did not keep what was sent before the push was broken off: it is begun anew");
        }
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        host.debug(e.message());
    }
    return std::nullopt;
}

Uploader::Outcome Uploader::blob(const Outgoing& blob, const std::vector<std::string>& elsewhere, const Host& host) {
    const std::string what = writing(blob);
    std::optional<singularity::State> kept;
    if (plugin_ && blob.size > chunk_)
        kept = singularity::State::take(
            plugin_,
            "upload\n" + client_.endpoint().host + "\n" + client_.endpoint().repository + "\n" + blob.digest.text(),
            a_day, host);
    const auto forget = [&] {
        if (kept) kept->forget(host);
    };
    if (present(blob, host)) return forget(), Outcome::present;
    std::optional<Session> session;
    for (const std::string& from : elsewhere) {
        if (session) take_back(*session);
        session = begin("mount=" + singularity::percent_encoded(blob.digest.text()) + "&from=" + singularity::percent_encoded(from), what, host);
        if (!session) return forget(), Outcome::mounted;
    }
    bool goes_on = false;
    if (kept) {
        if (auto found = broken_off(blob, *kept, host)) {
            if (session) take_back(*session);
            session = std::move(found);
            goes_on = true;
            host.info("The registry has " + std::to_string(session->at) + " of " + std::to_string(blob.size) +
                      " bytes from a push that was broken off: going on there");
        }
    }
    if (!session) session = begin("", what, host);
    if (!session) return forget(), Outcome::present;  // some servers find by themselves that they have it

    auto task = host.task(blob.label, blob.size);
    uint64_t shown = 0;
    // What is sent again does not move the bar.
    const Moved moved = [&](uint64_t at) {
        if (at > shown) task.advance(at - std::exchange(shown, at));
    };
    for (;;) {
        session->kept = kept ? &*kept : nullptr;
        keep(*session, host);
        moved(session->at);
        try {
            send(blob, *session, host, moved);
            break;
        } catch (const Error& e) {
            const bool cancelled = e.code() == Code::cancelled;
            const bool broken = cancelled || e.code() == Code::network || e.code() == Code::timeout;
            if (kept && session->at > 0 && broken) {
                const std::string hint = "Give the same command again: what the registry keeps of it is not sent a second time.";
                if (cancelled) throw Error(e.code(), e.message(), hint);
                throw Error(e.code(), e.message(), e.hint().empty() ? hint : hint + " " + e.hint(), e.detail())
                    .because(e.sys_errno());
            }
            take_back(*session);
            forget();
            // Another process may have gone on with it as well, or the registry has other bytes than were sent.
            if (!goes_on || broken) throw;
            host.info("The registry does not take the rest of that push: it is begun anew");
            goes_on = false;
            session = begin("", what, host);
            if (!session) break;
        }
    }
    forget();
    task.done();
    return Outcome::sent;
}

void Uploader::send(const Outgoing& blob, Session& session, const Host& host, const Moved& moved) {
    try {
        if (session.at == 0 && blob.size <= std::max(chunk_, session.chunk_min))
            send_whole(blob, session, host, moved);
        else
            send_chunks(blob, session, host, moved);
    } catch (const Error& e) {
        if (e.code() == Code::cancelled || e.message().rfind("Error writing", 0) == 0) throw;
        throw e.within(writing(blob));
    }
}

void Uploader::send_whole(const Outgoing& blob, Session& session, const Host& host, const Moved& moved) {
    Request request;
    request.method = "PUT";
    request.url = with_digest(session.location, blob.digest);
    request.headers.push_back({"Content-Type", "application/octet-stream", false});
    request.body = [&] { return std::make_unique<singularity::CountedStream>(blob.open(0, blob.size), 0, moved); };
    request.body_size = blob.size;
    request.max_redirects = 0;
    Answer answer = client_.send(std::move(request), host);
    if (answer.status() != 201) client_.refuse(std::move(answer), writing(blob));
}

// How many bytes of the upload the registry has, as session.at. False: it knows nothing of it any more, or has more
// than the `most` that there are.
bool Uploader::ask_place(Session& session, uint64_t most, const Host& host) {
    Request request;
    request.url = session.location.text();
    Answer answer = client_.send(std::move(request), host);
    const unsigned status = answer.status();
    // distribution before 3.0 gives up an upload that broke within a chunk, and says so here.
    if (status == 400 || status == 404 || status == 405 || status == 410 || status == 416) return false;
    if (status != 204 && status != 202 && status != 200)
        client_.refuse(std::move(answer), "Error asking how far the upload to " + client_.endpoint().shown + " has come");
    const auto bytes = received_bytes(answer.header("Range"));
    if (!bytes || *bytes > most) return false;
    moved_to(session, answer);
    session.at = *bytes;
    return true;
}

void Uploader::send_chunks(const Outgoing& blob, Session& session, const Host& host, const Moved& moved) {
    const std::string what = writing(blob);
    const uint64_t step = std::max({chunk_, session.chunk_min, UINT64_C(1)});
    unsigned breaks = 0, lost = 0;
    while (session.at < blob.size) {
        const uint64_t at = session.at, n = std::min(step, blob.size - at);
        std::optional<Error> failure;
        try {
            Request request;
            request.method = "PATCH";
            request.url = session.location.text();
            request.headers.push_back({"Content-Type", "application/octet-stream", false});
            request.headers.push_back({"Content-Range", std::to_string(at) + "-" + std::to_string(at + n - 1), false});
            request.body = [&] { return std::make_unique<singularity::CountedStream>(blob.open(at, n), at, moved); };
            request.body_size = n;
            request.max_redirects = 0;
            Answer answer = client_.send(std::move(request), host, 1);
            const unsigned status = answer.status();
            if (status == 202 || status == 201 || status == 204) {
                moved_to(session, answer);
                session.at += n;
                keep(session, host);
                breaks = 0;
                continue;
            }
            if (at == 0 && (status == 404 || status == 405 || status == 501)) {
                // It takes blobs in one piece only.
                send_whole(blob, session, host, moved);
                return;
            }
            if (status != 404 && status != 416 && !is_transient(status)) client_.refuse(std::move(answer), what);
            failure = Error(Code::network, what + ": HTTP status " + std::to_string(status));
        } catch (const Error& e) {
            if (!is_transient(e)) throw;
            failure = e;
        }
        if (++breaks >= max_tries) throw *failure;
        client_.clock().wait(wait_after_failure(breaks, client_.clock()), host);
        if (ask_place(session, blob.size, host)) continue;
        if (++lost >= max_tries) throw *failure;
        host.log(SG_VERBOSE, client_.endpoint().host + " has given up the upload: it is begun anew");
        auto anew = begin("", what, host);
        if (!anew) return;  // somebody else has sent the blob meanwhile
        anew->kept = session.kept;
        session = *anew;
        keep(session, host);
    }
    finish(blob, session, host);
}

void Uploader::finish(const Outgoing& blob, Session& session, const Host& host) {
    Request request;
    request.method = "PUT";
    request.url = with_digest(session.location, blob.digest);
    request.max_redirects = 0;
    Answer answer = client_.send(std::move(request), host);
    if (answer.status() != 201 && answer.status() != 204) client_.refuse(std::move(answer), writing(blob));
}

void Uploader::manifest(const std::string& reference, const std::string& bytes, const std::string& type, const Host& host) {
    const std::string what = "Error writing manifest " + reference + " to " + client_.endpoint().shown;
    Request request;
    request.method = "PUT";
    request.url = client_.path("manifests/" + reference);
    request.headers.push_back({"Content-Type", type, false});
    request.body = [bytes] { return stream_text(bytes); };
    request.body_size = bytes.size();
    request.max_redirects = 0;
    Answer answer = client_.send(std::move(request), host);
    if (answer.status() != 201 && answer.status() != 200) client_.refuse(std::move(answer), what);
    const auto told = sources::Digest::try_parse(answer.header("Docker-Content-Digest"));
    if (told && *told != sources::hash(told->algorithm(), bytes))
        throw Error(Code::corrupt, what + ": the registry stored other bytes than were sent (" + told->text() + ")");
}

}  // namespace registry
