#include "address.hpp"

#include <cstdlib>
#include <initializer_list>
#include <singularity/text.hpp>

namespace s3 {

using singularity::Code;
using singularity::Error;

namespace {

std::string variable(std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const char* value = std::getenv(name); value && *value) return value;
    return {};
}

// S3's own way: each part of the path is encoded, '/' stays, and no "." or ".." is taken out of a key.
std::string encoded_path(const std::string& path) {
    std::string out;
    for (size_t at = 0; at <= path.size();) {
        const size_t slash = std::min(path.find('/', at), path.size());
        out += (at > 0 ? "/" : "") + singularity::percent_encoded(std::string_view(path).substr(at, slash - at));
        at = slash + 1;
    }
    return out;
}

}  // namespace

Object Object::parse(const std::string& url) {
    constexpr std::string_view prefix = "s3:";
    std::string rest = url.substr(url.starts_with(prefix) ? prefix.size() : 0);
    rest.erase(0, std::min(rest.find_first_not_of('/'), rest.size()));
    const size_t slash = rest.find('/');
    Object out{rest.substr(0, slash), slash == std::string::npos ? "" : rest.substr(slash + 1)};
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    if (out.bucket.empty() || out.bucket.find_first_not_of(letters) != std::string::npos)
        throw Error(Code::invalid, url + ": '" + out.bucket + "' is no name of a bucket",
                    "The form is s3://BUCKET/PATH/x.sif.");
    if (out.key.empty())
        throw Error(Code::invalid, url + " names a bucket and no object in it", "The form is s3://BUCKET/PATH/x.sif.");
    return out;
}

Store Store::of(const singularity::Host& host) {
    Store out{variable({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}), variable({"AWS_REGION", "AWS_DEFAULT_REGION"})};
    if (out.endpoint.empty()) out.endpoint = host.text("s3.endpoint").value_or("");
    if (out.region.empty()) out.region = host.text("s3.region").value_or("us-east-1");
    return out;
}

Place place_of(const Object& object, const Store& store) {
    if (store.endpoint.empty()) {
        const std::string amazon = "s3." + store.region + ".amazonaws.com";
        // A dot in the bucket's name is one too many for the certificate of *.s3.REGION.amazonaws.com.
        if (object.bucket.find('.') != std::string::npos)
            return {"https", amazon, "/" + object.bucket + "/" + encoded_path(object.key)};
        return {"https", object.bucket + "." + amazon, "/" + encoded_path(object.key)};
    }
    const size_t colon = store.endpoint.find("://");
    Place out{store.endpoint.substr(0, std::min(colon, store.endpoint.size())), "", ""};
    if (colon == std::string::npos || (out.scheme != "https" && out.scheme != "http"))
        throw Error(Code::invalid, "the S3 endpoint '" + store.endpoint + "' is no http or https URL",
                    "As 'https://minio.example.org:9000'.");
    std::string rest = store.endpoint.substr(colon + 3);
    while (rest.ends_with('/')) rest.pop_back();
    const size_t slash = std::min(rest.find('/'), rest.size());
    out.authority = rest.substr(0, slash);
    if (out.authority.find('@') != std::string::npos)
        throw Error(Code::invalid, "the S3 endpoint holds a user name",
                    "Keys are given by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
    const std::string own_port = out.scheme == "https" ? ":443" : ":80";
    if (out.authority.ends_with(own_port)) out.authority.resize(out.authority.size() - own_port.size());
    out.path = rest.substr(slash) + "/" + object.bucket + "/" + encoded_path(object.key);
    return out;
}

}  // namespace s3
