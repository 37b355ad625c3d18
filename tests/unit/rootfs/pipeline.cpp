// Threads, digests, cancel and failures of the merge as a whole.
#include <boost/test/unit_test.hpp>
#include <random>

#include "base/call.hpp"
#include "base/error.hpp"
#include "support.hpp"

using namespace rootfs_test;

namespace {

// Layers with something of everything, some megabytes large.
std::vector<sg::LayerInput> make_large() {
    std::mt19937 random(3);
    std::vector<Tar> tars;
    for (int l = 0; l < 5; ++l) {
        Tar t;
        for (int i = 0; i < 200; ++i) {
            const std::string dir = "d" + std::to_string(random() % 20);
            const std::string name = dir + "/f" + std::to_string(random() % 300);
            switch (random() % 8) {
                case 0: t.file(dir + "/.wh.f" + std::to_string(random() % 300), ""); break;
                case 1: t.link(name, "target" + std::to_string(i)); break;
                case 2: t.dir(dir, {.mode = static_cast<int>(0700 + random() % 64), .xattrs = {{"user.n", std::to_string(i)}}}); break;
                default: t.file(name, std::string(random() % 60000, static_cast<char>('a' + i % 26))); break;
            }
        }
        t.file("keep" + std::to_string(l), std::string(2 << 20, 'k')).hard("again" + std::to_string(l), "keep" + std::to_string(l));
        if (l > 0) t.file(".wh.keep" + std::to_string(l - 1), "");
        tars.push_back(t);
    }
    return layers_of(tars);
}

std::vector<sg::LayerInput> large() {
    static const std::vector<sg::LayerInput> layers = make_large();
    return layers;
}

std::string calls(const Merged& m) {
    std::string out;
    for (const auto& c : m.recorder.contents)
        out += c.hint + " " + std::to_string(c.size) + " " + sha256(c.bytes) + " " + std::to_string(c.holes) + "\n";
    return out;
}

std::unique_ptr<singularity::Stream> slow_end(std::string bytes) { return stream_of(std::move(bytes), 100); }

}  // namespace

BOOST_AUTO_TEST_SUITE(pipeline)

BOOST_AUTO_TEST_CASE(any_number_of_threads_gives_the_same_calls_and_tree) {
    Merged one = merge(large(), 1);
    BOOST_TEST(one.recorder.contents.size() > 100u);
    for (const unsigned threads : {2u, 8u}) {
        Merged more = merge(large(), threads);
        BOOST_TEST((calls(one) == calls(more)));
        BOOST_TEST(text(lines(one, true)) == text(lines(more, true)));
    }
}

BOOST_AUTO_TEST_CASE(a_wrong_digest_is_found_and_names_both) {
    for (const unsigned threads : {1u, 2u}) {
        auto layers = large();
        const std::string right = layers[2].digest, wrong = sha256("x");
        layers[2].digest = wrong;
        BOOST_CHECK_EXCEPTION(merge(layers, threads), sg::Error, [&](const sg::Error& e) {
            return e.code() == sg::Code::corrupt && e.message().find(right) != std::string::npos &&
                   e.message().find("layer " + wrong) == 0;
        });
    }
}

BOOST_AUTO_TEST_CASE(a_wrong_diff_id_is_found_and_names_both) {
    for (const unsigned threads : {1u, 2u}) {
        auto layers = large();
        const std::string right = layers[0].diff_id, wrong = sha256("x");
        layers[0].diff_id = wrong;
        BOOST_CHECK_EXCEPTION(merge(layers, threads), sg::Error, [&](const sg::Error& e) {
            return e.code() == sg::Code::corrupt && e.message().find("diff ID") != std::string::npos &&
                   e.message().find(right) != std::string::npos && e.message().find(wrong) != std::string::npos &&
                   e.message().find(layers[0].digest) != std::string::npos;
        });
    }
}

BOOST_AUTO_TEST_CASE(data_after_the_end_of_the_archive_is_hashed) {
    const std::string tar = Tar().file("a", "x").bytes();
    const std::string longer = tar + std::string(5000, '\0') + "what follows" + std::string(300000, 'z');
    for (const unsigned threads : {1u, 2u}) {
        Merged m = merge({layer(gzip(longer), longer)}, threads);
        BOOST_TEST(lines(m).at("a") == "file x");
        sg::LayerInput cheat = layer(gzip(longer), tar);
        BOOST_CHECK_THROW(merge({cheat}, threads), sg::Error);
        // Behind the compressed data, too.
        const std::string stored = gzip(tar);
        sg::LayerInput padded = layer(stored + std::string(100, '\0'), tar);
        BOOST_TEST(lines(*std::make_unique<Merged>(merge({padded}, threads))).at("a") == "file x");
        padded.digest = sha256(stored);
        BOOST_CHECK_THROW(merge({padded}, threads), sg::Error);
    }
}

BOOST_AUTO_TEST_CASE(a_wrong_size_is_found) {
    for (const unsigned threads : {1u, 2u})
        for (const int off : {-1, 1}) {
            auto layers = large();
            layers[1].size += static_cast<uint64_t>(off);
            BOOST_CHECK_THROW(merge(layers, threads), sg::Error);
        }
}

BOOST_AUTO_TEST_CASE(damage_of_the_compressed_data_is_found) {
    std::string text;
    for (int i = 0; i < 10000; ++i) text += std::to_string(i * i);
    const std::string tar = Tar().file("a", text).bytes();
    const std::string stored = gzip(tar);
    for (const unsigned threads : {1u, 2u}) {
        BOOST_CHECK_THROW(merge({layer(stored.substr(0, stored.size() - 9), tar)}, threads), sg::Error);
        BOOST_CHECK_THROW(merge({layer(stored.substr(0, stored.size() / 2), tar)}, threads), sg::Error);
        std::string flipped = stored;
        flipped[stored.size() / 2] ^= 4;
        BOOST_CHECK_THROW(merge({layer(flipped, tar)}, threads), sg::Error);
    }
}

BOOST_AUTO_TEST_CASE(a_source_that_fails_ends_everything_with_its_error) {
    struct Failing final : singularity::Stream {
        int left;
        explicit Failing(int n) : left(n) {}
        singularity::Slice next() override {
            if (left-- == 0) throw sg::Error(sg::Code::network, "the server has gone", "try again");
            return singularity::Slice::hole(1 << 20);
        }
    };
    for (const unsigned threads : {1u, 2u})
        for (const int after : {0, 3}) {
            auto layers = large();
            layers[3].open = [after] { return std::make_unique<Failing>(after); };
            layers[3].size = SG_SIZE_UNKNOWN;
            BOOST_CHECK_EXCEPTION(merge(layers, threads), sg::Error, [&](const sg::Error& e) {
                return e.code() == sg::Code::network && e.hint() == "try again" && e.message().find(layers[3].digest) != std::string::npos;
            });
        }
    auto layers = large();
    layers[4].open = []() -> std::unique_ptr<singularity::Stream> { throw sg::Error(sg::Code::not_found, "no such blob"); };
    BOOST_CHECK_EXCEPTION(merge(layers, 2), sg::Error, [](const sg::Error& e) { return e.code() == sg::Code::not_found; });
}

BOOST_AUTO_TEST_CASE(a_writer_that_fails_ends_everything_with_its_error) {
    for (const unsigned threads : {1u, 2u}) {
        Recorder recorder;
        recorder.fail_after = 5;
        {
            auto writer = recorder.writer();
            auto layers = large();
            BOOST_CHECK_EXCEPTION(sg::merge_layers(layers, writer, {}, {threads}, nullptr), sg::Error,
                                  [](const sg::Error& e) { return e.code() == sg::Code::no_space; });
        }
        BOOST_TEST(recorder.closed);
    }
}

BOOST_AUTO_TEST_CASE(a_cancelled_call_ends_everything) {
    // The source waits for the cancel, as one at a slow server does, and polls its token.
    for (const unsigned threads : {1u, 2u}) {
        sg::CancelToken token;
        sg_call call{token, nullptr};
        struct Waiting final : singularity::Stream {
            sg::CancelToken& token;
            int calls = 0;
            explicit Waiting(sg::CancelToken& t) : token(t) {}
            singularity::Slice next() override {
                if (++calls > 2) token.cancel();
                token.poll();
                static const std::string zeros = Tar().file("a", std::string(100000, 'x')).without_end();
                return singularity::Slice::borrowed(zeros.data(), zeros.size());
            }
        };
        auto layers = large();
        for (auto& l : layers) {
            l.open = [&token] { return std::make_unique<Waiting>(token); };
            l.size = SG_SIZE_UNKNOWN;
        }
        Recorder recorder;
        auto writer = recorder.writer(&call);
        BOOST_CHECK_EXCEPTION(sg::merge_layers(layers, writer, {}, {threads}, &call), sg::Error,
                              [](const sg::Error& e) { return e.code() == sg::Code::cancelled; });
    }
    sg::CancelToken token;
    sg_call call{token, nullptr};
    token.cancel();
    Recorder recorder;
    auto writer = recorder.writer(&call);
    auto layers = large();
    BOOST_CHECK_THROW(sg::merge_layers(layers, writer, {}, {2}, &call), sg::Error);
    BOOST_TEST(recorder.contents.empty());
}

BOOST_AUTO_TEST_CASE(a_second_read_verifies_again) {
    const Tar first = Tar().file("a", "old").hard("b", "a");
    for (const unsigned threads : {1u, 2u}) {
        auto layers = layers_of({first, Tar().file(".wh.a", "")});
        int opened = 0;
        layers[0].open = [&opened, tar = first.bytes()] {
            ++opened;
            return slow_end(opened == 1 ? gzip(tar) : gzip(Tar().file("a", "new").hard("b", "a").bytes()));
        };
        BOOST_CHECK_THROW(merge(layers, threads), sg::Error);
        BOOST_TEST(opened == 2);
    }
}

BOOST_AUTO_TEST_CASE(layers_are_opened_once_when_no_hidden_hard_link_needs_more) {
    auto layers = layers_of({Tar().file("a", "1").hard("b", "a"), Tar().file("c", "2")});
    int opened = 0;
    for (auto& l : layers) l.open = [&opened, open = l.open] { return ++opened, open(); };
    merge(layers, 1);
    BOOST_TEST(opened == 2);
}

BOOST_AUTO_TEST_SUITE_END()
