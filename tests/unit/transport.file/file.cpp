// The transport "file" over the C boundary: URLs, ranges, and what it refuses.
#include <sys/stat.h>

#include <singularity/transport.hpp>

#include "bootstrap.family/source_fixture.hpp"

using namespace fixture;

namespace {

const sg_transport_v1& table() {
    static const sg_transport_v1& t = load<sg_transport_v1>(PLUGIN_OBJECT, "file", "transport");
    return t;
}

struct Got {
    unsigned status;
    uint64_t size;
    std::string body, url, length;
};

Got get(const std::string& url, uint64_t begin = 0, uint64_t end = SG_SIZE_UNKNOWN, const char* method = "GET") {
    sg_request r = singularity::plain_request(url.c_str());
    r.method = method;
    r.range_begin = begin;
    r.range_end = end;
    sg_response* raw = nullptr;
    singularity::check([&](sg_error* e) { return table().send(&r, a_call(), &raw, e); });
    singularity::ForeignResponse response(&table(), raw);
    auto body = response.body();
    return {response.status(), response.size(), singularity::read_all(*body, 1 << 30, "body"), response.url(),
            response.header("Content-Length")};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(file_transport)

BOOST_AUTO_TEST_CASE(a_file_is_read_whole) {
    const Scratch dir;
    const std::string bytes = std::string(3000000, 'x') + "end";
    const std::string path = dir.write("a b%c", bytes);
    for (const std::string& url : {"file://" + dir.path() + "/a%20b%25c", "file:" + dir.path() + "/a b%25c",
                                   "file://localhost" + dir.path() + "/a%20b%25c"}) {
        const Got g = get(url);
        BOOST_TEST(g.status == 200u);
        BOOST_TEST(g.size == bytes.size());
        BOOST_TEST((g.body == bytes));
        BOOST_TEST(g.url == url);
        BOOST_TEST(g.length == std::to_string(bytes.size()));
    }
    BOOST_TEST(get("file://" + dir.write("empty", "")).body.empty());
    const Got head = get("file:" + dir.path() + "/a b%25c", 0, SG_SIZE_UNKNOWN, "HEAD");
    BOOST_TEST(head.size == bytes.size());
    BOOST_TEST(head.body.empty());
}

BOOST_AUTO_TEST_CASE(a_range_is_cut_to_the_file) {
    const Scratch dir;
    const std::string url = "file://" + dir.write("f", "0123456789");
    BOOST_TEST(get(url, 2, 5).body == "234");
    BOOST_TEST(get(url, 2, 5).status == 206u);
    BOOST_TEST(get(url, 7).body == "789");
    BOOST_TEST(get(url, 8, 100).body == "89");
    BOOST_TEST(get(url, 0, 1).body == "0");
    for (const auto& [b, e] : std::vector<std::pair<uint64_t, uint64_t>>{
             {10, SG_SIZE_UNKNOWN}, {5, 5}, {6, 5}, {UINT64_MAX - 1, SG_SIZE_UNKNOWN}}) {
        const Got g = get(url, b, e);
        BOOST_TEST(g.status == 416u);
        BOOST_TEST(g.body.empty());
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_readable_file_is_refused) {
    const Scratch dir;
    BOOST_TEST((error_of([&] { get("file://" + dir.path() + "/none"); }).code() == Code::not_found));
    BOOST_TEST(contains(error_of([&] { get("file://" + dir.path()); }).message(), "is a directory"));
    const std::string fifo = dir.path() + "/fifo";
    BOOST_REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    BOOST_TEST(contains(error_of([&] { get("file://" + fifo); }).message(), "is not a regular file"));
    BOOST_TEST(contains(error_of([&] { get("file:///dev/null"); }).message(), "is not a regular file"));
    for (const char* url :
         {"file://host/x", "file:x", "file://", "http://x/y", "file:///a%zz", "file:///a%2", "file:///a%00b", ""})
        BOOST_TEST((error_of([&] { get(url); }).code() == Code::invalid), url);
    BOOST_TEST((error_of([&] { get("file:///etc/passwd", 0, SG_SIZE_UNKNOWN, "PUT"); }).code() == Code::unsupported));
}

BOOST_AUTO_TEST_CASE(cancel_ends_a_body) {
    const Scratch dir;
    const std::string url = "file://" + dir.write("f", std::string(3000000, 'x'));
    sg_request r = singularity::plain_request(url.c_str());
    sg_response* raw = nullptr;
    BOOST_REQUIRE(table().send(&r, a_call(), &raw, nullptr) == SG_OK);
    sg_stream* body = nullptr;
    BOOST_REQUIRE(table().body(raw, &body, nullptr) == SG_OK);
    sg_slice s{};
    BOOST_TEST(body->next(body, &s, nullptr) == SG_OK);
    cancel_flag = 1;
    BOOST_TEST(body->next(body, &s, nullptr) == SG_ECANCELLED);
    BOOST_TEST(table().send(&r, a_call(), &raw, nullptr) == SG_ECANCELLED);
    cancel_flag = 0;
    body->close(body);
    table().close(raw);
}

BOOST_AUTO_TEST_CASE(a_body_that_nobody_takes_is_closed) {
    struct Body final : singularity::Stream {
        explicit Body(int& open) : open_(open) { ++open_; }
        ~Body() override { --open_; }
        singularity::Slice next() override { return {}; }
        int& open_;
    };
    int open = 0;
    sg_request r = singularity::plain_request("nowhere://x");
    const singularity::Host nobody;
    for (const std::function<void()>& send : std::initializer_list<std::function<void()>>{
             [&] { singularity::send(nobody, "nowhere", r); },
             [&] { singularity::send_below(nobody, "nowhere", "front", r); },
             [&] { singularity::upgrade(nobody, "nowhere", r, "websocket"); }}) {
        r.body = singularity::to_c(std::make_unique<Body>(open));
        BOOST_CHECK_THROW(send(), singularity::Error);
        BOOST_TEST(open == 0);
    }
}

BOOST_AUTO_TEST_SUITE_END()
