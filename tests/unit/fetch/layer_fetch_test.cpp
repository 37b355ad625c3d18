#include "fetch/layer_fetch.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "store/output.hpp"
#include "store/sha256.hpp"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using singularity::Slice;
using singularity::Stream;

// Gives `text` in pieces; `between` is called before each.
class Pieces final : public Stream {
public:
    Pieces(std::string text, size_t piece, std::function<void(const sg_call*)> between, const sg_call* call)
        : text_(std::move(text)), piece_(piece), between_(std::move(between)), call_(call) {}
    Slice next() override {
        if (between_) between_(call_);
        const size_t n = std::min(piece_, text_.size() - at_);
        at_ += n;
        return n == 0 ? Slice() : Slice::borrowed(text_.data() + at_ - n, n);
    }

private:
    std::string text_;
    size_t piece_, at_ = 0;
    std::function<void(const sg_call*)> between_;
    const sg_call* call_;
};

struct Server {
    std::string path;
    sg::CancelToken cancel;
    sg_call call{cancel, nullptr};
    std::atomic<int> requests{0};
    std::vector<std::string> order;
    std::mutex mutex;

    Server() {
        char name[] = "/tmp/sg-fetch-XXXXXX";
        path = mkdtemp(name);
    }
    ~Server() { sg::remove_tree(path); }
    std::string root() const { return path + "/cache"; }
    // The store is the test's, and outlives the fetch.
    sg::FetchPlan plan(sg::BlobStore* store, unsigned jobs = 4) const { return {{std::shared_ptr<void>(), store}, true, path, jobs}; }

    sg::RemoteLayer layer(const std::string& text, std::function<void(const sg_call*)> between = {}, const std::string& sent = "\1") {
        sg::RemoteLayer r;
        r.digest = "sha256:" + sg::sha256_hex(text);
        r.name = r.digest;
        r.size = text.size();
        r.open = [this, bytes = sent == "\1" ? text : sent, between, digest = r.digest](const sg_call* c) -> std::unique_ptr<Stream> {
            ++requests;
            {
                const std::lock_guard lock(mutex);
                order.push_back(digest);
            }
            return std::make_unique<Pieces>(bytes, 1000, between, c);
        };
        return r;
    }
};

std::string all_of(sg::LayerFetch& fetch, size_t index) {
    const auto stream = fetch.read(index);
    return singularity::read_all(*stream, 100 << 20, "layer");
}

const std::string big(char c) { return std::string(3'000'000, c); }

auto code_is(sg::Code code) {
    return [code](const sg::Error& e) { return e.code() == code; };
}

}  // namespace

BOOST_AUTO_TEST_CASE(layers_are_fetched_once_read_while_they_come_and_found_the_next_time) {
    Server s;
    sg::BlobStore store(s.root(), {});
    for (int round = 0; round < 2; ++round) {
        sg::LayerFetch fetch({s.layer(big('a')), s.layer(big('b')), s.layer(big('c'))}, s.plan(&store), &s.call);
        for (size_t i : {2u, 1u, 0u}) {
            BOOST_CHECK_EQUAL(fetch.cached(i), round == 1);
            BOOST_CHECK(all_of(fetch, i) == big(static_cast<char>('a' + i)));
        }
        fetch.finish();
        BOOST_CHECK(fetch.kept());
        BOOST_CHECK_EQUAL(s.requests, 3);
    }
    BOOST_CHECK(fs::is_empty(s.root() + "/tmp"));
    BOOST_CHECK(fs::is_empty(s.root() + "/leases"));
}

BOOST_AUTO_TEST_CASE(the_newest_layer_comes_first) {
    Server s;
    sg::BlobStore store(s.root(), {});
    const auto a = s.layer("a"), b = s.layer("b"), c = s.layer("c");
    sg::LayerFetch fetch({a, b, c}, s.plan(&store, 1), &s.call);
    fetch.finish();
    BOOST_CHECK((s.order == std::vector<std::string>{c.digest, b.digest, a.digest}));
}

BOOST_AUTO_TEST_CASE(the_same_layer_twice_is_fetched_once) {
    Server s;
    sg::BlobStore store(s.root(), {});
    sg::LayerFetch fetch({s.layer("same"), s.layer("other"), s.layer("same")}, s.plan(&store), &s.call);
    BOOST_CHECK_EQUAL(all_of(fetch, 2), "same");
    BOOST_CHECK_EQUAL(all_of(fetch, 0), "same");
    fetch.finish();
    BOOST_CHECK_EQUAL(s.requests, 2);
}

BOOST_AUTO_TEST_CASE(without_a_cache_nothing_is_left) {
    Server s;
    sg::LayerFetch fetch({s.layer(big('a')), s.layer(big('b'))}, s.plan(nullptr), &s.call);
    BOOST_CHECK(all_of(fetch, 1) == big('b'));
    BOOST_CHECK(all_of(fetch, 0) == big('a'));
    BOOST_CHECK(all_of(fetch, 0) == big('a'));  // a second reading is possible
    fetch.finish();
    BOOST_CHECK(!fetch.kept());
    BOOST_CHECK(fs::is_empty(s.path));
}

BOOST_AUTO_TEST_CASE(no_end_is_told_before_the_digest_is_right) {
    Server s;
    sg::BlobStore store(s.root(), {});
    std::string wrong = big('a');
    wrong.back() = '!';
    sg::LayerFetch fetch({s.layer(big('a'), {}, wrong)}, s.plan(&store), &s.call);
    BOOST_CHECK_EXCEPTION(all_of(fetch, 0), sg::Error, code_is(sg::Code::corrupt));
    BOOST_CHECK_EXCEPTION(fetch.finish(), sg::Error, code_is(sg::Code::corrupt));
    BOOST_CHECK(fs::is_empty(s.root() + "/oci/blobs/sha256"));
}

BOOST_AUTO_TEST_CASE(more_or_fewer_bytes_than_promised_are_refused) {
    for (const auto& sent : {big('a') + "x", big('a').substr(1), std::string()}) {
        Server s;
        sg::BlobStore store(s.root(), {});
        sg::LayerFetch fetch({s.layer(big('a'), {}, sent)}, s.plan(&store), &s.call);
        BOOST_CHECK_EXCEPTION(all_of(fetch, 0), sg::Error, code_is(sg::Code::corrupt));
        BOOST_CHECK_THROW(fetch.finish(), sg::Error);
        BOOST_CHECK(fs::is_empty(s.root() + "/oci/blobs/sha256"));
    }
}

BOOST_AUTO_TEST_CASE(one_failed_layer_ends_the_others_and_every_reader_learns_why) {
    Server s;
    sg::BlobStore store(s.root(), {});
    const auto never = [](const sg_call* call) {
        for (;;) {
            call->cancel.poll();
            std::this_thread::sleep_for(1ms);
        }
    };
    const auto refused = [](const sg_call*) { throw sg::Error(sg::Code::network, "the server hung up"); };
    sg::LayerFetch fetch({s.layer("a", refused), s.layer("b", never), s.layer("c", never)}, s.plan(&store), &s.call);
    BOOST_CHECK_EXCEPTION(all_of(fetch, 2), sg::Error, code_is(sg::Code::network));
    BOOST_CHECK_EXCEPTION(fetch.finish(), sg::Error, code_is(sg::Code::network));
}

BOOST_AUTO_TEST_CASE(a_layer_that_comes_after_its_caller_gave_up_goes_to_the_store_and_nowhere_else) {
    Server s;
    auto store = std::make_shared<sg::BlobStore>(s.root(), std::vector<std::string>());
    std::atomic<bool> gone{false};
    const auto late = [&](const sg_call*) {
        while (!gone) std::this_thread::sleep_for(1ms);
    };
    sg::LayerFetch fetch({s.layer("late", late)}, {store, true, s.path, 4}, &s.call);
    store.reset();
    gone = true;
    fetch.finish();
    BOOST_CHECK(fs::is_regular_file(s.root() + "/oci/blobs/sha256/" + sg::sha256_hex("late")));
}

BOOST_AUTO_TEST_CASE(a_cancel_ends_six_layers_at_once_and_leaves_nothing) {
    Server s;
    sg::BlobStore store(s.root(), {});
    const auto slow = [](const sg_call* call) {
        for (int i = 0; i < 10; ++i) {
            call->cancel.poll();
            std::this_thread::sleep_for(1ms);
        }
    };
    std::vector<sg::RemoteLayer> layers;
    for (char c = 'a'; c < 'g'; ++c) layers.push_back(s.layer(big(c), slow));
    std::thread user([&] {
        std::this_thread::sleep_for(100ms);
        s.cancel.cancel();
    });
    {
        sg::LayerFetch fetch(std::move(layers), s.plan(&store, 6), &s.call);
        BOOST_CHECK_EXCEPTION(all_of(fetch, 5), sg::Error, code_is(sg::Code::cancelled));
        BOOST_CHECK_THROW(fetch.finish(), sg::Error);
    }
    user.join();
    BOOST_CHECK(fs::is_empty(s.root() + "/tmp"));
    BOOST_CHECK(fs::is_empty(s.root() + "/leases"));
    BOOST_CHECK(fs::is_empty(s.root() + "/oci/blobs/sha256"));
}

BOOST_AUTO_TEST_CASE(a_damaged_cached_layer_is_found_and_fetched_again) {
    Server s;
    sg::BlobStore store(s.root(), {});
    { sg::LayerFetch(std::vector<sg::RemoteLayer>{s.layer("hello"), s.layer("world")}, s.plan(&store), &s.call).finish(); }
    std::ofstream(s.root() + "/oci/blobs/sha256/" + sg::sha256_hex("hello")) << "hellO";
    sg::LayerFetch damaged({s.layer("hello"), s.layer("world")}, s.plan(&store), &s.call);
    BOOST_CHECK(damaged.cached(0));
    BOOST_CHECK(damaged.discard_damaged());
    sg::LayerFetch again({s.layer("hello"), s.layer("world")}, s.plan(&store), &s.call);
    BOOST_CHECK(!again.cached(0));
    BOOST_CHECK(again.cached(1));
    BOOST_CHECK_EQUAL(all_of(again, 0), "hello");
    again.finish();
    BOOST_CHECK_EQUAL(s.requests, 3);
}

BOOST_AUTO_TEST_CASE(two_fetches_of_the_same_layers_share_one_download) {
    Server s;
    sg::BlobStore first(s.root(), {}), second(s.root(), {});
    const auto slow = [](const sg_call*) { std::this_thread::sleep_for(1ms); };
    std::vector<std::thread> threads;
    for (sg::BlobStore* store : {&first, &second})
        threads.emplace_back([&, store] {
            sg::LayerFetch fetch({s.layer(std::string(100'000, 'a'), slow), s.layer(std::string(100'000, 'b'), slow)}, s.plan(store), &s.call);
            BOOST_CHECK(all_of(fetch, 1) == std::string(100'000, 'b'));
            fetch.finish();
        });
    for (auto& t : threads) t.join();
    BOOST_CHECK_EQUAL(s.requests, 2);
}
