// Where an object is: from "s3://BUCKET/KEY" and the settings to a URL of the web.
#pragma once
#include <singularity/host.hpp>
#include <string>

namespace s3 {

struct Object {
    std::string bucket, key;

    // The key stands in the URL letter for letter, as in Amazon's own tools: nothing in it is percent-encoded. Throws
    // Code::invalid when there is no bucket, no key, or a bucket that could be taken for another host.
    static Object parse(const std::string& url);
};

// The settings, from the usual variables and else from the configuration.
struct Store {
    std::string endpoint;  // "" for Amazon's
    std::string region;

    static Store of(const singularity::Host& host);
};

struct Place {
    std::string scheme;     // "https" or "http"
    std::string authority;  // as the header Host has it: no port where it is the scheme's own
    std::string path;       // absolute, percent-encoded

    std::string url() const { return scheme + "://" + authority + path; }
};

// An endpoint of one's own has the bucket in the path; Amazon's has it in the host's name. Throws Code::invalid.
Place place_of(const Object& object, const Store& store);

}  // namespace s3
