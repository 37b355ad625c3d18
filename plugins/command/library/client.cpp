#include "library/client.hpp"

#include <singularity/text.hpp>

#include "remotes/active.hpp"
#include "remotes/url.hpp"

namespace library {

namespace json = singularity::json;
using singularity::percent_encoded;

ImageRecord read_image(const std::string& text, const std::string& what) {
    const json::Document document(text, what);
    const auto root = document.root();
    ImageRecord out;
    out.id = root["id"].text();
    out.hash = root["hash"].text();
    if (root["size"].present() && root["size"].size() > 0) out.size = root["size"].size();
    out.uploaded = root["uploaded"].boolean_or(false);
    out.arch = root["arch"].text_or();
    // It becomes part of addresses.
    if (out.id.empty() || out.id.size() > 64 ||
        out.id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") !=
            std::string::npos)
        throw Error(Code::corrupt, what + " has an odd id: " + json::printable(out.id));
    // It becomes a key of the cache.
    if (out.hash.size() > 200 || out.hash.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:+-_") !=
                                     std::string::npos)
        throw Error(Code::corrupt, what + " has an odd hash: " + json::printable(out.hash));
    return out;
}

std::optional<ImageRecord> Client::image(const std::string& container, const std::string& tag, const std::string& arch,
                                         const Host& host) const {
    remotes::Call call;
    call.path = "v1/images/" + container + ":" + tag + (arch.empty() ? "" : "?arch=" + percent_encoded(arch));
    const auto data = service_.data(call, host);
    if (!data || *data == "null") return std::nullopt;
    return read_image(*data, "the answer of " + base() + " for " + container);
}

singularity::ForeignResponse Client::file(const std::string& container, const std::string& tag, const std::string& arch,
                                          uint64_t begin, uint64_t end, const Host& host) const {
    remotes::Call call;
    call.path = "v1/imagefile/" + container + ":" + tag + (arch.empty() ? "" : "?arch=" + percent_encoded(arch));
    call.range_begin = begin;
    call.range_end = end;
    return service_.send(call, host);
}

Client client_for(const LibraryReference& reference, const std::string& url, bool plain, const Host& host) {
    std::string base = url;
    if (!reference.host.empty()) {
        const std::string named = (plain ? "http://" : "https://") + reference.host;
        if (!base.empty() && remotes::without_scheme(base) != remotes::without_scheme(named))
            throw Error(Code::usage, "two Libraries are named: " + json::printable(base) + " and " +
                                         json::printable(reference.host));
        if (base.empty()) base = named;
    }
    return Client(remotes::active_service("library", base, host));
}

}  // namespace library
