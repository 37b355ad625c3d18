// Amazon's published examples: those of the S3 reference ("Authenticating Requests: Using the Authorization Header")
// and two of the test suite of signature version 4.
#include <cstdio>

#include "sigv4.hpp"

namespace {

int failures = 0;

void expect(const char* name, const s3::Signed& request, const s3::Keys& keys, const char* service, std::time_t time,
            const std::string& signature) {
    const std::string got = s3::authorization(request, keys, "us-east-1", service, time);
    if (got.ends_with(",Signature=" + signature)) return;
    std::fprintf(stderr, "%s: %s\n", name, got.c_str());
    ++failures;
}

}  // namespace

int main() {
    const std::string empty(s3::empty_payload);

    const s3::Keys keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
    const std::time_t time = 1369353600;  // 2013-05-24
    const std::string host = "examplebucket.s3.amazonaws.com", moment = s3::timestamp(time);
    const std::map<std::string, std::string> usual{
        {"host", host}, {"x-amz-content-sha256", empty}, {"x-amz-date", moment}};
    auto ranged = usual;
    ranged["range"] = "bytes=0-9";
    expect("S3: a range of an object", {"GET", "/test.txt", {}, ranged, empty}, keys, "s3", time,
           "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    const std::string payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    expect("S3: an object is put",
           {"PUT",
            "/test%24file.text",
            {},
            {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
             {"host", host},
             {"x-amz-content-sha256", payload},
             {"x-amz-date", moment},
             {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
            payload},
           keys, "s3", time, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    expect("S3: a query without a value", {"GET", "/", {{"lifecycle", ""}}, usual, empty}, keys, "s3", time,
           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    expect("S3: a query of two", {"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, usual, empty}, keys, "s3", time,
           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");

    const s3::Keys suite{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
    const std::time_t day = 1440938160;  // 2015-08-30 12:36
    const std::map<std::string, std::string> plain{{"host", "example.amazonaws.com"},
                                                   {"x-amz-date", s3::timestamp(day)}};
    expect("test suite: get-vanilla", {"GET", "/", {}, plain, empty}, suite, "service", day,
           "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    expect("test suite: get-vanilla-query-order-key-case",
           {"GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, plain, empty}, suite, "service", day,
           "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    return failures == 0 ? 0 : 1;
}
