#include "library/upload.hpp"

#include <openssl/evp.h>
#include <poll.h>

#include <algorithm>
#include <singularity/json.hpp>
#include <singularity/transport.hpp>

#include "remotes/url.hpp"

namespace library {

namespace json = singularity::json;
using remotes::Call;
using remotes::Reply;
using singularity::Slice;
using singularity::Stream;

namespace {

constexpr uint64_t parts_above = 64 << 20;  // bytes, as the other clients have it
constexpr unsigned most_tries = 4;
constexpr uint32_t abort_ms = 5000;
constexpr uint64_t most_part = UINT64_C(8) << 30, most_parts = 100000;

class Hash {
public:
    explicit Hash(const EVP_MD* kind)
        : context_(::EVP_MD_CTX_new(), ::EVP_MD_CTX_free),
          good_(context_ && ::EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1) {}
    void update(const Slice& s) {
        static const std::vector<uint8_t> zeros(1 << 16);
        for (uint64_t left = s.is_hole() ? s.size() : 0; good_ && left > 0;) {
            const uint64_t n = std::min<uint64_t>(left, zeros.size());
            good_ = ::EVP_DigestUpdate(context_.get(), zeros.data(), n) == 1;
            left -= n;
        }
        if (!s.is_hole()) good_ = good_ && ::EVP_DigestUpdate(context_.get(), s.data(), s.size()) == 1;
    }
    // "" when libcrypto has not this kind (MD5 under FIPS rules).
    std::string hex() {
        unsigned char out[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        if (!good_ || ::EVP_DigestFinal_ex(context_.get(), out, &n) != 1) return {};
        static constexpr char digits[] = "0123456789abcdef";
        std::string text;
        for (unsigned i = 0; i < n; ++i) text += {digits[out[i] >> 4], digits[out[i] & 15]};
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
    bool good_;
};

bool is_transient(unsigned status) {
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}
bool is_transient(const Error& e) { return e.code() == Code::network || e.code() == Code::timeout; }

// Before the next try; ends at once when the call does.
void pause(unsigned tries, const Host& host) {
    pollfd cancelled{host.cancel_fd(), POLLIN, 0};
    ::poll(&cancelled, cancelled.fd >= 0 ? 1 : 0, static_cast<int>(tries * 300));
    host.poll();
}

// Whether the address was signed for a request with the header x-amz-content-sha256.
bool wants_hash_header(const std::string& url) {
    const size_t at = url.find("X-Amz-SignedHeaders=");
    return at != std::string::npos &&
           url.substr(at, std::min(url.find('&', at), url.size()) - at).find("x-amz-content-sha256") !=
               std::string::npos;
}

std::string number(uint64_t n) { return std::to_string(n); }

std::string quoted(const std::string& text) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace

OutgoingFile open_outgoing(const std::string& path, const Host& host) {
    OutgoingFile file;
    file.path = path;
    file.fd = sources::open_regular(path, file.size);
    Hash sha256(::EVP_sha256()), md5(::EVP_md5());
    const auto stream = sources::stream_file(sources::reopen(file.fd.get(), path), 0, file.size, path, host);
    for (Slice s = stream->next(); s.size() > 0; s = stream->next()) {
        sha256.update(s);
        md5.update(s);
    }
    file.sha256 = sha256.hex();
    file.md5 = md5.hex();
    if (file.sha256.empty()) throw Error(Code::internal, "libcrypto cannot compute a sha256 digest");
    return file;
}

std::unique_ptr<Stream> Upload::bytes(uint64_t begin, uint64_t size, const Host& host, const Moved& moved) const {
    return std::make_unique<singularity::CountedStream>(
        sources::stream_file(sources::reopen(file_.fd.get(), file_.path), begin, size, file_.path, host), begin, moved);
}

Completed Upload::run(bool v2, const Host& host) {
    auto task = host.task("Uploading " + file_.path.substr(file_.path.rfind('/') + 1), file_.size);
    uint64_t shown = 0;
    // What is sent again does not move the bar.
    const Moved moved = [&](uint64_t at) {
        if (at > shown) task.advance(at - std::exchange(shown, at));
    };
    std::optional<Completed> done;
    if (v2 && file_.size > parts_above) done = in_parts(host, moved);
    if (v2 && !done) done = by_address(host, moved);
    if (!done) {
        in_one_request(host, moved);
        done.emplace();
    }
    task.done();
    return *done;
}

Completed Upload::complete(const Call& call, const Host& host) {
    const Reply reply = service_.ask(call, host);
    if (reply.status != 200 && reply.status != 204) service_.refuse(reply, what_);
    Completed out;
    if (reply.text.find_first_not_of(" \t\r\n") == std::string::npos) return out;
    const json::Document document(reply.text, "the answer of " + service_.base());
    const auto data = document.root()["data"];
    if (!data.is_object()) return out;
    out.told = true;
    const auto quota = data["quota"];
    if (quota["quotaTotal"].present()) out.quota_total = quota["quotaTotal"].size();
    if (quota["quotaUsage"].present()) out.quota_used = quota["quotaUsage"].size();
    out.container_url = data["containerUrl"].text_or();
    return out;
}

// The answer's ETag. Addresses are signed: they get no token, and are no business of a log.
std::string Upload::put(const std::string& url, uint64_t begin, uint64_t size, const std::string& sha256,
                        bool send_hash, const Host& host, const Moved& moved) {
    if (url.starts_with("http://") && service_.base().starts_with("https://") && !remotes::is_loopback(url))
        throw Error(Code::veto, what_ + ": the library leads the upload to an address without encryption");
    Call call;
    call.method = "PUT";
    call.path = url;
    call.with_token = false;
    call.max_redirects = 0;
    call.body = [&] { return bytes(begin, size, host, moved); };
    call.body_size = size;
    if (send_hash) call.headers.emplace_back("x-amz-content-sha256", sha256);
    auto response = service_.send(call, host);
    if (response.status() == 200) return response.header("ETag");
    Reply reply;
    reply.status = response.status();
    const auto body = response.body();
    reply.text = singularity::read_all(*body, remotes::max_answer, "the answer to an upload");
    service_.refuse(reply, what_);
}

std::optional<Completed> Upload::by_address(const Host& host, const Moved& moved) {
    Call call;
    call.method = "POST";
    call.path = "v2/imagefile/" + id_;
    call.json = "{\"filesize\":" + number(file_.size) + ",\"sha256sum\":" + quoted(file_.sha256) +
                ",\"md5sum\":" + quoted(file_.md5) + "}";
    const auto data = service_.data(call, host);
    if (!data) return std::nullopt;  // only the first version of the interface
    const json::Document document(*data, "the answer of " + service_.base());
    const std::string url = document.root()["uploadURL"].text();
    for (unsigned tries = 1;; ++tries) try {
            put(url, 0, file_.size, file_.sha256, wants_hash_header(url), host, moved);
            break;
        } catch (const Error& e) {
            if (!is_transient(e) || tries >= most_tries) throw;
            host.log(SG_VERBOSE, e.message() + ": it is sent again");
            pause(tries, host);
        }
    Call end;
    end.method = "PUT";
    end.path = "v2/imagefile/" + id_ + "/_complete";
    end.json = "{}";
    return complete(end, host);
}

std::string Upload::send_part(const std::string& upload, uint64_t part, uint64_t begin, uint64_t size,
                              uint64_t part_size, bool signed_hash, const Host& host, const Moved& moved) {
    Hash hash(::EVP_sha256());
    const auto stream = bytes(begin, size, host, [](uint64_t) {});
    for (Slice s = stream->next(); s.size() > 0; s = stream->next()) hash.update(s);
    const std::string sha256 = hash.hex();
    Call call;
    call.method = "PUT";
    call.path = "v2/imagefile/" + id_ + "/_multipart";
    call.json = "{\"partSize\":" + number(part_size) + ",\"uploadID\":" + quoted(upload) +
                ",\"partNumber\":" + number(part) + ",\"sha256sum\":" + quoted(sha256) + "}";
    // The address is asked for anew: it may have been good for a while only.
    const Reply reply = service_.ask(call, host);
    if (reply.status != 200) service_.refuse(reply, what_ + ", part " + number(part));
    const json::Document document(reply.text, "the answer of " + service_.base());
    return put(document.root()["data"]["presignedURL"].text(), begin, size, sha256, signed_hash, host, moved);
}

std::optional<Completed> Upload::in_parts(const Host& host, const Moved& moved) {
    Call call;
    call.method = "POST";
    call.path = "v2/imagefile/" + id_ + "/_multipart";
    call.json = "{\"filesize\":" + number(file_.size) + "}";
    const auto data = service_.data(call, host);
    if (!data) return std::nullopt;  // not this way
    const json::Document document(*data, "the answer of " + service_.base());
    const auto root = document.root();
    const std::string upload = root["uploadID"].text();
    const uint64_t part_size = root["partSize"].size(), parts = root["totalParts"].size();
    const bool signed_hash = root["options"]["s3compliant"].text_or("true") != "false";
    if (part_size == 0 || part_size > most_part || parts == 0 || parts > most_parts ||
        parts != (file_.size + part_size - 1) / part_size)
        throw Error(Code::corrupt, "the library at " + service_.base() + " wants " + number(parts) + " parts of " +
                                       number(part_size) + " bytes for a file of " + number(file_.size));
    const auto with_id = [&](const char* verb, const std::string& more) {
        Call c;
        c.method = "PUT";
        c.path = "v2/imagefile/" + id_ + verb;
        c.json = "{\"uploadID\":" + quoted(upload) + more + "}";
        return c;
    };
    try {
        std::string completed;
        for (uint64_t part = 1; part <= parts; ++part) {
            const uint64_t begin = (part - 1) * part_size, size = std::min(part_size, file_.size - begin);
            for (unsigned tries = 1;; ++tries) try {
                    const std::string token = send_part(upload, part, begin, size, part_size, signed_hash, host, moved);
                    completed += (part == 1 ? "" : ",") +
                                 ("{\"partNumber\":" + number(part) + ",\"token\":" + quoted(token) + "}");
                    break;
                } catch (const Error& e) {
                    if (!is_transient(e) || tries >= most_tries) throw;
                    host.log(SG_VERBOSE, e.message() + ": it is sent again");
                    pause(tries, host);
                }
        }
        return complete(with_id("/_multipart_complete", ",\"completedParts\":[" + completed + "]"), host);
    } catch (const Error&) {
        try {
            Call abort = with_id("/_multipart_abort", "");
            abort.timeout_ms = abort_ms;
            service_.ask(abort, Host());  // also when the user has cancelled the rest
        } catch (const Error& e) {
            host.debug(e.message());  // the library forgets it by itself after a while
        }
        throw;
    }
}

void Upload::in_one_request(const Host& host, const Moved& moved) {
    for (unsigned tries = 1;; ++tries) try {
            Call call;
            call.method = "POST";
            call.path = "v1/imagefile/" + id_;
            call.body = [&] { return bytes(0, file_.size, host, moved); };
            call.body_size = file_.size;
            call.max_redirects = 0;
            const Reply reply = service_.ask(call, host);
            if (reply.status == 200 || reply.status == 201) return;
            if (!is_transient(reply.status) || tries >= most_tries) service_.refuse(reply, what_);
            pause(tries, host);
        } catch (const Error& e) {
            if (!is_transient(e) || tries >= most_tries) throw;
            host.log(SG_VERBOSE, e.message() + ": it is sent again");
            pause(tries, host);
        }
}

}  // namespace library
