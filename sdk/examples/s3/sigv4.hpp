// Signature version 4 of Amazon Web Services ("Authenticating Requests: Using the Authorization Header", in the
// reference of the S3 API). It knows nothing of HTTP beyond the parts of a request that are signed, and opens no
// socket.
#pragma once
#include <ctime>
#include <map>
#include <string>
#include <string_view>

namespace s3 {

struct Keys {
    std::string id, secret;
    std::string token;  // of a session; "" for keys that last
};

// What is signed of a request.
struct Signed {
    std::string method;                          // upper case
    std::string path;                            // as sent: absolute and percent-encoded
    std::map<std::string, std::string> query;    // name -> value, not encoded
    std::map<std::string, std::string> headers;  // lower-case name -> value; "host" and all of "x-amz-*" must be there
    std::string payload;                         // hex SHA-256 of the body, or "UNSIGNED-PAYLOAD"
};

inline constexpr std::string_view empty_payload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// "20130524T000000Z", for the header x-amz-date.
std::string timestamp(std::time_t time);

// The value of the header Authorization. `time` is what the header x-amz-date says. Throws Error when OpenSSL fails.
std::string authorization(const Signed& request, const Keys& keys, const std::string& region,
                          const std::string& service, std::time_t time);

}  // namespace s3
