#include "sigv4.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <singularity/text.hpp>

namespace s3 {

namespace {

using singularity::Code;
using singularity::Error;
using singularity::percent_encoded;

std::string hex(const std::string& bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) out += {digits[static_cast<unsigned char>(c) >> 4], digits[c & 15]};
    return out;
}

std::string sha256(const std::string& text) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), hash, &size, EVP_sha256(), nullptr) != 1)
        throw Error(Code::internal, "OpenSSL cannot make a SHA-256");
    return {reinterpret_cast<const char*>(hash), size};
}

std::string hmac(const std::string& key, const std::string& text) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
              reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash, &size))
        throw Error(Code::internal, "OpenSSL cannot make an HMAC");
    return {reinterpret_cast<const char*>(hash), size};
}

}  // namespace

std::string timestamp(std::time_t time) {
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts)};
}

std::string authorization(const Signed& request, const Keys& keys, const std::string& region,
                          const std::string& service, std::time_t time) {
    // Names of query and headers in order of their bytes: that of the maps.
    std::string query, headers, names;
    for (const auto& [name, value] : request.query)
        query += (query.empty() ? "" : "&") + percent_encoded(name) + "=" + percent_encoded(value);
    for (const auto& [name, value] : request.headers) {
        headers += name + ":" + value + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    const std::string canonical =
        request.method + "\n" + request.path + "\n" + query + "\n" + headers + "\n" + names + "\n" + request.payload;

    const std::string moment = timestamp(time), day = moment.substr(0, 8);
    const std::string scope = day + "/" + region + "/" + service + "/aws4_request";
    const std::string to_sign = "AWS4-HMAC-SHA256\n" + moment + "\n" + scope + "\n" + hex(sha256(canonical));

    std::string key = "AWS4" + keys.secret;
    for (const std::string& part : {day, region, service, std::string("aws4_request")}) key = hmac(key, part);
    return "AWS4-HMAC-SHA256 Credential=" + keys.id + "/" + scope + ",SignedHeaders=" + names +
           ",Signature=" + hex(hmac(key, to_sign));
}

}  // namespace s3
