// The source of http and https over the C boundary: identity, name, and a file that goes on where it was broken off.
#include <singularity/bootstrap.h>

#include "transport.https/https_fixture.hpp"

using namespace fixture;

namespace {

const sg_bootstrap_v1& source() {
    static const auto* t = [] {
        transport_plugin = load_plugin(PLUGIN_OBJECT);
        return static_cast<const sg_bootstrap_v1*>(transport_plugin->table("https", "bootstrap", 1));
    }();
    if (!t) throw std::runtime_error("no table");
    return *t;
}

// What follows "http:" in a URL of the server.
std::string reference(const std::string& target) { return server().url(target).substr(5); }

sg_source_spec spec(const std::string& reference) { return {"http", reference.c_str(), "/", "amd64", "", 0, nullptr}; }

struct Id {
    std::string key, name, area;
};
Id resolve(const std::string& reference) {
    sg_identity id{};
    const sg_source_spec s = spec(reference);
    singularity::check([&](sg_error* e) { return source().resolve(&s, nullptr, &id, e); });
    return {id.key, id.name, id.cache_area};
}

class Opened {
public:
    explicit Opened(const std::string& reference) {
        const sg_source_spec s = spec(reference);
        singularity::check([&](sg_error* e) { return source().open(&s, nullptr, &image_, e); });
    }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    ~Opened() { image_->close(image_); }
    sg_blob blob() {
        sg_blob b{};
        singularity::check([&](sg_error* e) { return image_->blob(image_, &b, e); });
        return b;
    }
    std::string fetch(uint64_t offset) {
        sg_stream* raw = nullptr;
        singularity::check([&](sg_error* e) { return image_->fetch(image_, offset, nullptr, &raw, e); });
        singularity::ForeignStream stream(raw);
        return singularity::read_all(stream, 1 << 30, "it");
    }

private:
    sg_image* image_ = nullptr;
};

const std::string day = "modified=Wed,%2021%20Oct%202015%2007:28:00%20GMT";

}  // namespace

BOOST_AUTO_TEST_SUITE(web_source)

BOOST_AUTO_TEST_CASE(the_key_is_that_of_url_and_version) {
    const Id id = resolve(reference("/do/ok/x.sif?" + day));
    BOOST_TEST(id.key.size() == 64u);
    BOOST_TEST(id.key.find_first_not_of("0123456789abcdef") == std::string::npos);
    BOOST_TEST(id.area == "net");
    BOOST_TEST(id.name == "x.sif");
    // The same without the slashes, which belong to the scheme; another version or place is another key.
    BOOST_TEST(resolve(reference("/do/ok/x.sif?" + day).substr(2)).key == id.key);
    BOOST_TEST(resolve(reference("/do/ok/y.sif?" + day)).key != id.key);
    BOOST_TEST(resolve(reference("/do/ok/x.sif?etag=%22a%22")).key != resolve(reference("/do/ok/x.sif?etag=%22b%22")).key);
    // A password is not part of the place.
    BOOST_TEST(resolve("//me:geheim@" + reference("/do/ok/x.sif?" + day).substr(2)).key == id.key);
    BOOST_TEST(resolve(reference("/do/ok/x.sif")).key == "");
    BOOST_TEST(resolve(reference("/do/status/x.sif?code=405")).key == "");
}

BOOST_AUTO_TEST_CASE(the_key_is_sha256_of_url_then_last_modified) {
    const std::string url = server().url("/do/ok/x.sif?" + day), text = url + "Wed, 21 Oct 2015 07:28:00 GMT";
    const Scratch d;
    const std::string in = d.write("in", text);
    BOOST_REQUIRE(std::system(("sha256sum <" + in + " >" + in + ".sum").c_str()) == 0);
    std::ifstream sum(in + ".sum");
    std::string hex;
    sum >> hex;
    BOOST_TEST(resolve(reference("/do/ok/x.sif?" + day)).key == hex);
}

BOOST_AUTO_TEST_CASE(the_name_is_the_last_segment_as_it_is) {
    for (const auto& [path, name] : std::vector<std::pair<std::string, std::string>>{{"/do/ok/alpine-oci-archive.tar", "alpine-oci-archive.tar"},
                                                                                       {"/do/ok/a/b/c", "c"},
                                                                                       {"/do/ok/x.sif?y=/z", "x.sif"},
                                                                                       {"/do/ok/x.sif/", "x.sif"},
                                                                                       {"/do/ok/..", "127.0.0.1"}})
        BOOST_TEST(resolve(reference(path)).name == name);
}

BOOST_AUTO_TEST_CASE(a_file_is_streamed_with_one_request) {
    const Server own;
    {
        Opened image(own.url("/do/ok/x?size=3000000").substr(5));
        BOOST_TEST(image.blob().size == 3000000u);
        BOOST_TEST(std::string(image.blob().digest) == "");
        BOOST_TEST((image.fetch(0) == good(3000000)));
        BOOST_TEST(own.count("ok") == 1u);
        BOOST_TEST((image.fetch(0) == good(3000000)));
    }
    BOOST_TEST(own.count("ok") == 2u);
}

BOOST_AUTO_TEST_CASE(a_download_goes_on_in_the_middle_of_the_same_version) {
    const Server own;
    Opened image(own.url("/do/ok/x?size=1000&etag=%22v1%22").substr(5));
    BOOST_TEST((image.fetch(400) == good(1000).substr(400)));
    BOOST_TEST(contains(own.log(), R"(["If-Range", "\"v1\""])"));
    BOOST_TEST((error_of([&] { image.fetch(1000); }).code() == Code::corrupt));
    Opened weak(server().url("/do/ok/x?size=1000&etag=W/%22v1%22").substr(5));
    BOOST_TEST((weak.fetch(400) == good(1000).substr(400)));
    Opened whole(reference("/do/ignore-range/x?size=1000"));
    BOOST_TEST((error_of([&] { whole.fetch(400); }).code() == Code::unsupported));
}

BOOST_AUTO_TEST_CASE(a_url_without_a_host_asks_nobody) {
    for (const char* text : {"/nowhere/at/all", "///nowhere/at/all", "", "//"})
        BOOST_CHECK_EXCEPTION(resolve(text), singularity::Error,
                              [](const auto& e) { return std::string(e.what()).find("names no host") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(what_cannot_be_had_is_told) {
    const auto told = [](const std::string& target) { return error_of([&] { resolve(reference(target)); }); };
    BOOST_TEST((told("/do/status?code=404").code() == Code::not_found));
    BOOST_TEST(contains(told("/do/status?code=404").message(), "the requested image was not found"));
    BOOST_TEST(contains(told("/do/redirect?to=/do/status%3Fcode=404").message(), "/do/status"));
    BOOST_TEST((told("/do/status?code=401").code() == Code::unauthorized));
    BOOST_TEST((told("/do/status?code=503").code() == Code::network));
    const Error limited = told("/do/status?code=429&retry_after=30");
    BOOST_TEST((limited.code() == Code::limit));
    BOOST_TEST(contains(limited.hint(), "30"));
    BOOST_TEST((error_of([] { Opened image(reference("/do/status?code=404")); }).code() == Code::not_found));
    BOOST_TEST((error_of([] { resolve("//"); }).code() == Code::invalid));
}

BOOST_AUTO_TEST_SUITE_END()
