#include "hub/builder/builder.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "hub/builder/cgroups.hpp"
#include "hub/builder/definition.hpp"
#include "hub/server/websocket.hpp"

using namespace hub;

namespace {

std::string masked(unsigned char first, const std::string& payload, unsigned char length = 0xff) {
    std::string out{static_cast<char>(first), static_cast<char>(0x80 | (length == 0xff ? payload.size() : length))};
    out += "abcd";
    for (size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ "abcd"[i % 4]);
    return out;
}

// What a reader finds, fed `step` bytes at a time: "ping:PAYLOAD", "!CODE".
std::vector<std::string> heard(const std::string& bytes, size_t step) {
    std::vector<std::string> out;
    FrameReader reader;
    for (size_t at = 0; at < bytes.size(); at += step) {
        std::string_view piece = std::string_view(bytes).substr(at, step);
        try {
            while (const auto c = reader.take(piece))
                out.push_back(std::to_string(static_cast<int>(c->opcode)) + ":" + c->payload);
        } catch (uint16_t code) {
            out.push_back("!" + std::to_string(code));
            return out;
        }
    }
    return out;
}

std::string text_of(const std::string& json) {
    const singularity::json::Document document(json, "the body");
    return definition_text(document.root());
}

int status_of(const std::string& json) {
    try {
        text_of(json);
        return 200;
    } catch (const HttpError& e) {
        return e.status;
    }
}

std::string reference(const std::string& text) {
    try {
        std::vector<std::string> tags;
        const auto r = build_reference(text, "alice", tags);
        std::string out = r.entity + "/" + r.collection + "/" + r.container;
        for (const auto& t : tags) out += " " + t;
        return out;
    } catch (const HttpError& e) {
        return std::to_string(e.status);
    }
}

std::string utf8(const std::string& bytes, bool last) {
    size_t taken = 0;
    const std::string text = valid_utf8(bytes, last, taken);
    return text + " " + std::to_string(taken);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_handshake_is_that_of_the_rfc) {
    BOOST_TEST(
        websocket_answer("dGhlIHNhbXBsZSBub25jZQ==").find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") !=
        std::string::npos);
    BOOST_TEST(valid_websocket_key("dGhlIHNhbXBsZSBub25jZQ=="));
    for (const auto* key : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=\r", "dGhlIHNhbXBsZSBub25 ZQ=="})
        BOOST_TEST(!valid_websocket_key(key));
}

BOOST_AUTO_TEST_CASE(frames_out_have_the_shortest_length) {
    BOOST_TEST(websocket_frame(Opcode::text, "Hello") == "\x81\x05Hello");
    BOOST_TEST(websocket_frame(Opcode::text, std::string(126, 'a')).substr(0, 4) == std::string("\x81\x7e\x00\x7e", 4));
    BOOST_TEST(websocket_frame(Opcode::text, std::string(65536, 'a')).substr(0, 10) ==
               std::string("\x81\x7f\0\0\0\0\0\x01\0\0", 10));
    BOOST_TEST(websocket_close(1000) == "\x88\x02\x03\xe8");
}

BOOST_AUTO_TEST_CASE(frames_in_are_read_however_they_are_cut) {
    const std::string bytes = masked(0x81, "some text") + masked(0x89, "are you there") + masked(0x01, "first") +
                              masked(0x8a, "") + masked(0x80, "last") +
                              masked(0x82, std::string("\x01\x2c", 2) + "", 126).substr(0, 2) +
                              std::string("\x01\x2c", 2) + "abcd" + std::string(300, 'x') + masked(0x88, "\x03\xe8");
    for (size_t step = 1; step <= bytes.size(); step += 3) {
        const auto found = heard(bytes, step);
        BOOST_TEST((found == std::vector<std::string>{"9:are you there", "10:", "8:\x03\xe8"}), step);
    }
}

BOOST_AUTO_TEST_CASE(frames_that_break_the_rules_are_refused) {
    BOOST_TEST(heard("\x81\x05Hello", 99).at(0) == "!1002");    // not masked
    BOOST_TEST(heard(masked(0xc1, "x"), 99).at(0) == "!1002");  // a reserved bit
    for (const unsigned char opcode : {3, 7, 11, 15})
        BOOST_TEST(heard(masked(0x80 | opcode, "x"), 99).at(0) == "!1002");
    BOOST_TEST(heard(masked(0x09, "x"), 99).at(0) == "!1002");                            // a ping in pieces
    BOOST_TEST(heard(masked(0x80, "x"), 99).at(0) == "!1002");                            // goes on with nothing
    BOOST_TEST(heard(masked(0x01, "x") + masked(0x81, "x"), 99).at(0) == "!1002");        // begins within another
    BOOST_TEST(heard(masked(0x88, "x"), 99).at(0) == "!1002");                            // half a code
    BOOST_TEST(heard(std::string("\x89\xfe\x00\x7e", 4) + "abcd", 99).at(0) == "!1002");  // a long ping
    BOOST_TEST(heard(std::string("\x81\xfe\x00\x05", 4) + "abcd", 99).at(0) == "!1002");  // a longer length than needed
    BOOST_TEST(heard(std::string("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10) + "abcd", 99).at(0) == "!1009");
}

BOOST_AUTO_TEST_CASE(text_is_cut_between_characters_and_what_is_none_is_replaced) {
    BOOST_TEST(utf8("a\xe4\xb8\xad", false) == "a\xe4\xb8\xad 4");
    BOOST_TEST(utf8("a\xe4\xb8", false) == "a 1");
    BOOST_TEST(utf8("a\xe4\xb8", true) == "a\xef\xbf\xbd 3");
    BOOST_TEST(utf8("\xff\xc0\xaf", false) == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd 3");
    BOOST_TEST(utf8("\xed\xa0\x80", false) == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd 3");  // a surrogate
    BOOST_TEST(utf8("\xf0\x9f\x98\x80", false) == "\xf0\x9f\x98\x80 4");
    BOOST_TEST(utf8("\xe4x", false) == "\xef\xbf\xbdx 2");
}

BOOST_AUTO_TEST_CASE(a_definition_comes_raw_or_is_made_again_from_its_values) {
    BOOST_TEST(text_of(R"({"definitionRaw": "Qm9vdHN0cmFwOiBzY3JhdGNoCg=="})") == "Bootstrap: scratch\n");
    BOOST_TEST(text_of(R"({"definition": {"header": {}, "fullraw": "Qm9vdHN0cmFwOiBzY3JhdGNoCg"}})") ==
               "Bootstrap: scratch\n");
    BOOST_TEST(
        text_of(
            R"({"definition": {"header": {"from": "alpine", "bootstrap": "docker"}, "imageData": {"metadata": null, "labels": {"Author": "me"},
        "imageScripts": {"help": "text", "environment": "", "runScript": "echo run\n", "test": "true", "startScript": ""}},
        "buildData": {"files": [{"source": "a b", "destination": "/c"}, {"source": "/d", "destination": ""}],
        "buildScripts": {"pre": "echo pre", "setup": "", "post": "echo post", "test": ""}}}})") ==
        "bootstrap: docker\nfrom: alpine\n\n%files\n    \"a b\" /c\n\n%files\n    /d\n\n%pre\necho pre\n\n%post\necho "
        "post\n\n%help\ntext\n\n%runscript\necho run\n\n%labels\n    Author me\n");
    BOOST_TEST(
        text_of(
            R"({"definition": {"header": {"bootstrap": "scratch"}, "buildData": {"files": [{"args": "stage one", "files": [{"source": "/a", "destination": "/b"}]}],
        "buildScripts": {"post": {"args": "-c /bin/bash", "script": "echo\n"}, "test": {"args": "", "script": "true"}}}}})") ==
        "bootstrap: scratch\n\n%files stage one\n    /a /b\n\n%post -c /bin/bash\necho\n\n%test\ntrue\n");
}

BOOST_AUTO_TEST_CASE(a_definition_that_is_none_is_refused) {
    BOOST_TEST(status_of("{}") == 400);
    BOOST_TEST(status_of(R"({"definitionRaw": ""})") == 400);
    BOOST_TEST(status_of(R"({"definitionRaw": "%%%"})") == 400);
    BOOST_TEST(status_of(R"({"definitionRaw": "QQBB"})") == 400);  // NUL
    BOOST_TEST(status_of(R"({"definition": {"header": {"bootstrap": "scratch\n%post"}}})") == 400);
    BOOST_TEST(
        status_of(R"({"definition": {"header": {"bootstrap": "scratch"}, "imageData": {"labels": {"a\nb": "c"}}}})") ==
        400);
    std::string large;
    for (int i = 0; i < 400000; ++i) large += "QUFB";
    BOOST_TEST(status_of("{\"definitionRaw\": \"" + large + "\"}") == 413);
}

BOOST_AUTO_TEST_CASE(a_result_is_stored_where_the_reference_says) {
    BOOST_TEST(reference("library://alice/default/cow:v1,latest") == "alice/default/cow v1 latest");
    BOOST_TEST(reference("library:alice/default/cow") == "alice/default/cow latest");
    BOOST_TEST(reference("library:///alice/default/cow") == "alice/default/cow latest");
    BOOST_TEST(reference("library://hub.example.com:8080/alice/default/cow:v1") == "alice/default/cow v1");
    BOOST_TEST(reference("cow") == "alice/default/cow latest");
    BOOST_TEST(reference("bob/cow:v1") == "bob/default/cow v1");
    for (const auto* wrong : {"library://a/b/c/d/e", "library://Alice/default/cow", "library://../x/y",
                              "cow:", "cow:a,,b", "cow:../x", "library://", "docker://alpine",
                              "a/b/c:sha256.0000000000000000000000000000000000000000000000000000000000000000"})
        BOOST_TEST(reference(wrong) == "400", wrong);
}

BOOST_AUTO_TEST_CASE(what_is_sealed_opens_with_its_key_alone) {
    const std::string sealed_text = sealed("key", "context.0123");
    BOOST_TEST(opened("key", sealed_text).value_or("") == "context.0123");
    BOOST_TEST(!opened("other", sealed_text));
    BOOST_TEST(!opened("key", sealed_text + "0"));
    BOOST_TEST(!opened("key", "context.0124" + sealed_text.substr(12)));
    BOOST_TEST(!opened("key", "context"));
}

BOOST_AUTO_TEST_CASE(a_build_gets_a_control_group_where_the_hub_may_divide_its_own) {
    char name[] = "/tmp/hub-cgroups-XXXXXX";
    const std::string group = ::mkdtemp(name);
    const auto content = [](const std::string& path) {
        std::ifstream in(path);
        std::string text;
        std::getline(in, text);
        return text;
    };
    const auto empty = [](const std::string& path) { std::ofstream out(path); };
    std::string why;
    BOOST_TEST(!BuildGroups::make("", why));
    BOOST_TEST(!BuildGroups::make(group, why));  // no files of a control group there
    BOOST_TEST(why.find("cgroup.procs") != std::string::npos, why);
    empty(group + "/hub/cgroup.procs");
    empty(group + "/cgroup.subtree_control");
    const auto groups = BuildGroups::make(group, why);
    BOOST_REQUIRE(groups);
    BOOST_TEST(content(group + "/hub/cgroup.procs") == "0");
    BOOST_TEST(content(group + "/cgroup.subtree_control") == "+memory +pids +cpu");
    BuilderOptions options;
    options.memory = 1000000, options.processes = 100, options.cpus = 3;
    std::filesystem::create_directory(group + "/build-1");
    for (const auto* file : {"memory.max", "pids.max"}) empty(group + "/build-1/" + file);
    BOOST_CHECK_EXCEPTION(groups->add("1", options), singularity::Error,
                          [](const auto& e) { return e.message().find("cpu.max") != std::string::npos; });
    empty(group + "/build-1/cpu.max");
    BOOST_TEST(groups->add("1", options) == group + "/build-1");
    BOOST_TEST(content(group + "/build-1/memory.max") == "1000000");
    BOOST_TEST(content(group + "/build-1/pids.max") == "164");
    BOOST_TEST(content(group + "/build-1/cpu.max") == "300000 100000");
    std::filesystem::remove_all(group);
}

// What a hub starts waits until the hub has written down what it started.
BOOST_AUTO_TEST_CASE(a_local_build_begins_when_it_is_told_to_and_not_when_its_hub_has_gone) {
    char name[] = "/tmp/hub-build-XXXXXX";
    const std::string directory = ::mkdtemp(name);
    std::ofstream(directory + "/job.sh") << "touch \"$1/ran\"\n";
    const BuilderOptions options;
    {
        auto executor = local_executor(options);
        const std::string run = executor->start(directory, "a");
        executor.reset();  // and with it the other end of what the build waits for
        while (::waitpid(std::atoi(run.c_str()), nullptr, 0) < 0 && errno == EINTR) {
        }
        BOOST_TEST(!std::filesystem::exists(directory + "/ran"));
    }
    const auto executor = local_executor(options);
    const std::string run = executor->start(directory, "a");
    executor->go(run);
    while (executor->state(run) != Executor::State::ended) ::usleep(10000);
    BOOST_TEST(std::filesystem::exists(directory + "/ran"));
    std::filesystem::remove_all(directory);
}
