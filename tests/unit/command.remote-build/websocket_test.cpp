// A server that says what the test lets it say.
#include "remote-build/websocket.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

using namespace remote_build;

namespace {

struct Server final : singularity::Duplex {
    Server(std::string says, size_t piece, std::string& heard) : says_(std::move(says)), piece_(piece), heard_(heard) {}
    uint64_t read(void* data, uint64_t capacity) override {
        const size_t n = std::min({piece_, says_.size() - at_, static_cast<size_t>(capacity)});
        says_.copy(static_cast<char*>(data), n, at_);
        at_ += n;
        return n;
    }
    void write(const void* data, uint64_t size) override { heard_.append(static_cast<const char*>(data), size); }

    std::string says_;
    size_t piece_, at_ = 0;
    std::string& heard_;
};

std::string frame(int first, std::string payload) {
    std::string out(1, static_cast<char>(first));
    if (payload.size() < 126) {
        out.push_back(static_cast<char>(payload.size()));
    } else if (payload.size() < 65536) {
        out += {126, static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size())};
    } else {
        out.push_back(127);
        for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(static_cast<uint64_t>(payload.size()) >> shift));
    }
    return out + payload;
}

std::string closing(int code, const std::string& why = "") { return frame(0x88, std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + why); }

struct Heard {
    int opcode;
    std::string payload;
};

// What the client sent: every frame masked, with a mask of its own.
std::vector<Heard> frames_of(const std::string& bytes) {
    std::vector<Heard> out;
    std::set<std::string> masks;
    for (size_t at = 0; at < bytes.size();) {
        BOOST_REQUIRE(bytes.size() - at >= 6);
        BOOST_TEST((bytes[at] & 0xf0) == 0x80);
        BOOST_REQUIRE((bytes[at + 1] & 0x80) != 0);
        const size_t size = bytes[at + 1] & 0x7f;
        const std::string mask = bytes.substr(at + 2, 4);
        BOOST_TEST(masks.insert(mask).second);
        std::string payload = bytes.substr(at + 6, size);
        BOOST_REQUIRE(payload.size() == size);
        for (size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(payload[i] ^ mask[i % 4]);
        out.push_back({bytes[at] & 0x0f, payload});
        at += 6 + size;
    }
    return out;
}

struct Talk {
    std::string text, heard, error;
    uint16_t code = 0;
};

Talk talk(const std::string& says, size_t piece = 1 << 20) {
    Talk t;
    WebSocket socket(std::make_unique<Server>(says, piece, t.heard));
    try {
        t.code = socket.read([&](std::string_view part) { t.text += part; });
    } catch (const Error& e) {
        BOOST_TEST((e.code() == (e.message().find("breaks") != std::string::npos ? Code::corrupt : Code::network)));
        t.error = e.message();
    }
    return t;
}

}  // namespace

BOOST_AUTO_TEST_CASE(texts_of_every_length_arrive_in_their_order_however_they_are_cut) {
    std::string says, wanted;
    for (const size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 200000u}) {
        const std::string text(size, static_cast<char>('a' + size % 26));
        says += frame(0x81, text);
        wanted += text;
    }
    says += frame(0x01, "be") + frame(0x00, "gin") + frame(0x89, "are you there") + frame(0x80, " end");
    says += closing(1000, "done");
    for (const size_t piece : {1u, 2u, 3u, 7u, 4096u, 1u << 20}) {
        const Talk t = talk(says, piece);
        BOOST_TEST(t.error == "");
        BOOST_TEST(t.code == 1000);
        BOOST_TEST((t.text == wanted + "begin end"));
        const auto heard = frames_of(t.heard);
        BOOST_REQUIRE(heard.size() == 2u);
        BOOST_TEST(heard[0].opcode == 10);
        BOOST_TEST(heard[0].payload == "are you there");
        BOOST_TEST(heard[1].opcode == 8);
        BOOST_TEST(heard[1].payload == "\x03\xe8");
    }
}

BOOST_AUTO_TEST_CASE(binary_messages_and_pongs_are_passed_over) {
    const Talk t = talk(frame(0x02, "bin") + frame(0x80, "ary") + frame(0x8a, "x") + frame(0x81, "text") + frame(0x88, ""));
    BOOST_TEST(t.text == "text");
    BOOST_TEST(t.code == 1005);
}

BOOST_AUTO_TEST_CASE(every_close_code_that_may_be_sent_is_given) {
    for (const int code : {1000, 1001, 1008, 1011, 3000, 4999}) BOOST_TEST(talk(closing(code)).code == code);
    for (const int code : {0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535}) BOOST_TEST(talk(closing(code)).error != "", code);
}

BOOST_AUTO_TEST_CASE(a_server_that_breaks_the_rules_is_told_and_left) {
    const std::string masked = std::string("\x81\x82", 2) + "mask" + "xx";
    const std::string long_text(126, 'x');
    const std::pair<const char*, std::string> cases[] = {
        {"a masked frame", masked},
        {"reserved bits", frame(0xc1, "x")},
        {"an unknown type", frame(0x83, "x")},
        {"an unknown control type", frame(0x8b, "x")},
        {"a continuation of nothing", frame(0x80, "x")},
        {"a message in a message", frame(0x01, "x") + frame(0x81, "y")},
        {"a ping in pieces", frame(0x09, "x")},
        {"a ping that is too long", frame(0x89, long_text)},
        {"a close of one byte", frame(0x88, "x")},
        {"a length of two bytes for one", std::string("\x81\x7e\x00\x05", 4) + "hello"},
        {"a length of eight bytes for two", std::string("\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x7e", 10) + long_text},
        {"a frame without end", std::string("\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10)},
        {"a frame with the highest bit", std::string("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10)},
    };
    for (const auto& [what, says] : cases) {
        const Talk t = talk(frame(0x81, "before ") + says);
        BOOST_TEST(t.error.find("breaks the WebSocket protocol") != std::string::npos, what << ": " << t.error);
        BOOST_TEST(t.text.starts_with("before "), what);
        const auto heard = frames_of(t.heard);
        BOOST_REQUIRE(heard.size() == 1u);
        BOOST_TEST(heard[0].opcode == 8);
        BOOST_TEST(heard[0].payload == "\x03\xea", what);
    }
}

BOOST_AUTO_TEST_CASE(an_end_without_a_close_frame_is_noticed_at_every_byte) {
    const std::string says = frame(0x01, "some text") + frame(0x80, std::string(200, 'y')) + closing(1000);
    for (size_t size = 0; size < says.size(); ++size) BOOST_TEST(talk(says.substr(0, size)).error == "the connection ended in the middle", size);
    BOOST_TEST(talk(says).error == "");
}

BOOST_AUTO_TEST_CASE(random_bytes_end_in_an_error_or_a_close) {
    uint32_t seed = 1;
    for (int round = 0; round < 3000; ++round) {
        std::string says;
        for (int i = 0; i < 40; ++i) says.push_back(static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24));
        const Talk t = talk(says, 5);
        BOOST_TEST((t.code != 0 || !t.error.empty()));
        BOOST_TEST(t.text.size() <= says.size());
    }
}

BOOST_AUTO_TEST_CASE(each_handshake_has_a_key_of_its_own) {
    std::set<std::string> keys;
    for (int i = 0; i < 20; ++i) {
        const auto fields = websocket_fields();
        BOOST_REQUIRE(fields.size() == 2u);
        BOOST_TEST(fields[0].second == "13");
        BOOST_TEST(fields[1].second.size() == 24u);
        BOOST_TEST(keys.insert(fields[1].second).second);
    }
}
