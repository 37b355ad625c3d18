// SPDX-License-Identifier: BSD-3-Clause
// The writer's promises beside the bytes: the same result for any number of workers, duplicates stored once,
// errors that come through, the host's executor.
#include "support.hpp"

#include <family/content_hash.hpp>

#include <condition_variable>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <thread>
#include <unistd.h>

using namespace testing;
using singularity::Code;
using singularity::Host;
using squashfs::parse_compression;
using squashfs::SquashfsWriter;

namespace {

// A mix of everything that influences the order of blocks.
void mix(SquashfsWriter& writer, MemoryTree& tree, int files = 400) {
    uint64_t x = 7;
    for (int i = 0; i < files; ++i) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const auto seed = static_cast<uint32_t>((x >> 40) % 150);
        static constexpr size_t scale[] = {100, 3000, 60000, 131072, 400000};
        size_t size = (x >> 20) % (scale[(x >> 50) % 5] + 1);
        if (i % 17 == 0) size = 131072 * (1 + i % 3);
        const std::string bytes = i % 23 == 0 ? std::string(size, '\0') : i % 3 == 0 ? noise(seed, size) : text(seed, size);
        tree.file("f" + std::to_string(i), size, store(writer, bytes));
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_result_is_the_same_for_any_number_of_workers) {
    const auto make = [](auto& writer, MemoryTree& tree) { mix(writer, tree); };
    const std::string one = written(parse_compression("zstd"), 1, make).bytes();
    for (const unsigned workers : {0u, 2u, 3u, 8u})
        BOOST_TEST((written(parse_compression("zstd"), workers, make).bytes() == one), workers);
    BOOST_TEST((written(parse_compression("zstd"), 4, make, 123 * 4096).bytes().size() == one.size()));
}

BOOST_AUTO_TEST_CASE(the_size_of_slices_does_not_matter) {
    const auto with = [](size_t piece) {
        return written({}, 2, [&](auto& writer, MemoryTree& tree) {
                   for (uint32_t i = 0; i < 20; ++i) {
                       const std::string bytes = text(i, i * 20000 + 1);
                       tree.file(std::to_string(i), bytes.size(), store(writer, bytes, piece));
                   }
               }).bytes();
    };
    const std::string whole = with(size_t{1} << 20);
    BOOST_TEST((with(1000) == whole));
    BOOST_TEST((with(131072) == whole));
}

BOOST_AUTO_TEST_CASE(equal_contents_are_stored_once) {
    const std::string small = text(1, 5000), large = text(2, 700000), other = text(3, 700000);
    const auto once = written({}, 2, [&](auto& writer, MemoryTree&) {
        store(writer, small), store(writer, large), store(writer, other);
    });
    const auto thrice = written({}, 2, [&](auto& writer, MemoryTree& tree) {
        const uint64_t a = store(writer, small), b = store(writer, large), c = store(writer, other);
        BOOST_TEST(store(writer, small) == a);
        for (int i = 0; i < 20; ++i) {
            tree.file("b" + std::to_string(i), large.size(), store(writer, large));
            tree.file("c" + std::to_string(i), other.size(), store(writer, other));
        }
        tree.file("a", small.size(), a);
        tree.file("b", large.size(), b);
        tree.file("c", other.size(), c);
    });
    BOOST_TEST(once.stats.bytes_stored == thrice.stats.bytes_stored);
    BOOST_TEST(thrice.stats.files_shared == 41u);
    BOOST_TEST(thrice.size <= once.size + 4096);
    for (int i = 0; i < 20; ++i) {
        BOOST_TEST((read_file(*thrice, "b" + std::to_string(i)) == large));
        BOOST_TEST((read_file(*thrice, "c" + std::to_string(i)) == other));
    }
    BOOST_TEST((read_file(*thrice, "a") == small));
}

BOOST_AUTO_TEST_CASE(a_duplicate_at_the_very_end_leaves_no_bytes_behind) {
    const std::string large = noise(2, size_t{20} << 20);
    const auto w = written({}, 2, [&](auto& writer, MemoryTree& tree) {
        tree.file("a", large.size(), store(writer, large));
        tree.file("b", large.size(), store(writer, large));
    });
    BOOST_TEST(w.file->size() == w.size);
    BOOST_TEST(w.size < large.size() + 8192);
    BOOST_TEST((read_file(*w, "b") == large));
}

BOOST_AUTO_TEST_CASE(contents_that_nearly_agree_stay_apart) {
    std::string a = text(1, 400000);
    std::vector<std::string> all{a, a.substr(0, 393216), a.substr(0, 262144), a.substr(131072), a + "x", std::string(131072, '\0') + a,
                                 a.substr(0, 131072) + std::string(131072, '\0') + a.substr(131072), a.substr(393216)};
    for (const size_t flip : {0u, 131071u, 131072u, 399999u}) {
        std::string b = a;
        b[flip] = static_cast<char>(b[flip] ^ 1);
        all.push_back(b);
    }
    const auto w = written({}, 2, [&](auto& writer, MemoryTree& tree) {
        for (int round = 0; round < 2; ++round)
            for (size_t i = 0; i < all.size(); ++i)
                tree.file(std::to_string(round) + "." + std::to_string(i), all[i].size(), store(writer, all[i]));
    });
    for (size_t i = 0; i < all.size(); ++i) {
        BOOST_TEST((read_file(*w, "0." + std::to_string(i)) == all[i]), i);
        BOOST_TEST((read_file(*w, "1." + std::to_string(i)) == all[i]), i);
    }
}

BOOST_AUTO_TEST_CASE(the_content_hash_tells_lengths_and_single_bits_apart) {
    const squashfs::ContentHash hash;
    const auto of = [&](const std::string& s) { return hash({reinterpret_cast<const uint8_t*>(s.data()), s.size()}); };
    std::unordered_map<squashfs::ContentKey, std::string, squashfs::ContentKeyHash> seen;
    size_t tried = 0;
    for (size_t size = 0; size < 600; ++size) {
        seen.emplace(of(std::string(size, '\0')), ""), ++tried;
        std::string s = text(9, size);
        if (size > 0) seen.emplace(of(s), ""), ++tried;
        for (size_t bit = 0; bit < size * 8; bit += 37) {
            s[bit / 8] = static_cast<char>(s[bit / 8] ^ (1 << bit % 8));
            seen.emplace(of(s), ""), ++tried;
            s[bit / 8] = static_cast<char>(s[bit / 8] ^ (1 << bit % 8));
        }
    }
    BOOST_TEST(seen.size() == tried);
    BOOST_TEST((of("abc") == of("abc")));
    const uint8_t one[] = {1};
    BOOST_TEST(!(squashfs::ContentHash()(one) == squashfs::ContentHash()(one)));  // a new secret each time
}

BOOST_AUTO_TEST_CASE(a_stream_of_another_length_is_refused) {
    for (const auto& [announced, given] : {std::pair<uint64_t, size_t>{10, 9}, {10, 11}, {300000, 299999}, {300000, 300001}, {0, 1}, {5, 0}}) {
        TemporaryFile file;
        SquashfsWriter writer(file.fd(), 0, {}, 1u);
        BytesStream stream(text(1, given), 4000);
        const auto [code, message] = failure([&] { writer.content("usr/bin/tool", announced, stream, Host()); });
        BOOST_TEST((code == Code::corrupt));
        BOOST_TEST(contains(message, "usr/bin/tool"), message);
        BOOST_TEST((failure([&] { store(writer, "more"); }).first == Code::internal));
    }
}

BOOST_AUTO_TEST_CASE(an_error_of_the_stream_comes_through) {
    struct Failing final : singularity::Stream {
        int left = 5;
        std::string bytes = std::string(200000, 'x');
        singularity::Slice next() override {
            if (left-- == 0) throw singularity::Error(Code::network, "the server went away");
            return singularity::Slice::borrowed(bytes.data(), bytes.size());
        }
    } stream;
    TemporaryFile file;
    SquashfsWriter writer(file.fd(), 0, {}, 2u);
    const auto [code, message] = failure([&] { writer.content("f", SG_SIZE_UNKNOWN, stream, Host()); });
    BOOST_TEST((code == Code::network));
    BOOST_TEST(message == "the server went away");
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_said_and_ends_the_writer) {
    const int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    BOOST_REQUIRE(fd >= 0);
    for (const unsigned workers : {0u, 2u}) {
        SquashfsWriter writer(fd, 0, {}, workers);
        const auto [code, message] = failure([&] {
            for (uint32_t i = 0; i < 100; ++i) store(writer, noise(i, 1000000));
        });
        BOOST_TEST((code == Code::no_space));
        BOOST_TEST(contains(message, "No space left"), message);
    }
    SquashfsWriter small(fd, 0, {}, 1u);  // found only at the end
    MemoryTree tree;
    tree.file("f", 3, store(small, "abc"));
    BOOST_TEST((failure([&] { small.finish(tree.foreign(), Host()); }).first == Code::no_space));
    close(fd);
}

BOOST_AUTO_TEST_CASE(a_writer_that_is_given_up_ends_at_once) {
    for (const unsigned workers : {0u, 1u, 4u}) {
        TemporaryFile file;
        SquashfsWriter writer(file.fd(), 0, parse_compression("zstd:19"), workers);
        for (uint32_t i = 0; i < 5; ++i) store(writer, text(i, 500000));
        BOOST_TEST(writer.stats().bytes_in == 2500000u);
    }
}

namespace {

// A host with nothing but an executor and a cancel token.
struct FakeHost : sg_host {
    static inline FakeHost* self;
    unsigned width = 2;
    bool refuse = false;
    std::mutex mutex;
    std::condition_variable more;
    std::deque<std::pair<void (*)(void*), void*>> jobs;
    std::vector<std::thread> threads;
    std::atomic<int> ran{0}, cancel_after{-1};
    bool ended = false;

    explicit FakeHost(unsigned threads_wanted, unsigned width_told) : width(width_told) {
        self = this;
        abi = SG_ABI_VERSION;
        version = "test";
        table = [](const sg_host*, const char* name, uint32_t) -> const void* {
            static const sg_host_executor_v1 executor = {
                [] { return self->width; },
                [](void (*fn)(void*), void* arg) -> int32_t {
                    if (self->refuse) return SG_ELIMIT;
                    std::lock_guard lock(self->mutex);
                    self->jobs.emplace_back(fn, arg);
                    self->more.notify_one();
                    return SG_OK;
                }};
            static const sg_host_call_v1 call = {[](const sg_call*) -> int32_t {
                                                     const int left = self->cancel_after;
                                                     if (left < 0) return 0;
                                                     if (left > 0) self->cancel_after = left - 1;
                                                     return left == 0;
                                                 },
                                                 [](const sg_call*) -> int32_t { return -1; }, nullptr, nullptr, nullptr};
            if (std::string_view(name) == "executor") return &executor;
            if (std::string_view(name) == "call") return &call;
            return nullptr;
        };
        singularity::detail::the_host = this;
        for (unsigned i = 0; i < threads_wanted; ++i)
            threads.emplace_back([this] {
                std::unique_lock lock(mutex);
                for (;;) {
                    more.wait(lock, [&] { return ended || !jobs.empty(); });
                    if (jobs.empty()) return;
                    const auto [fn, arg] = jobs.front();
                    jobs.pop_front();
                    lock.unlock();
                    fn(arg);
                    ++ran;
                    lock.lock();
                }
            });
    }
    ~FakeHost() {
        {
            std::lock_guard lock(mutex);
            ended = true;
            more.notify_all();
        }
        for (auto& t : threads) t.join();
        for (const auto& [fn, arg] : jobs) fn(arg);  // late tickets do nothing
        singularity::detail::the_host = nullptr;
    }
};

std::string with_host() {
    TemporaryFile file;
    std::string bytes;
    {
        SquashfsWriter writer(file.fd(), 0, {}, Host());
        MemoryTree tree;
        mix(writer, tree, 100);
        writer.finish(tree.foreign(), Host());
        bytes = file.bytes();
    }
    return bytes;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_hosts_executor_does_the_work) {
    const std::string wanted = written({}, 2, [](auto& writer, MemoryTree& tree) { mix(writer, tree, 100); }).bytes();
    BOOST_TEST((with_host() == wanted));  // no host: threads of its own
    {
        FakeHost host(2, 2);
        BOOST_TEST((with_host() == wanted));
        BOOST_TEST(host.ran > 0);
    }
    {
        FakeHost host(0, 1);  // all workers are busy with something else, for ever
        BOOST_TEST((with_host() == wanted));
    }
    {
        FakeHost host(1, 4);
        host.refuse = true;  // the command is ending
        BOOST_TEST((with_host() == wanted));
    }
}

BOOST_AUTO_TEST_CASE(cancelling_ends_contents_and_tree) {
    FakeHost host(1, 1);
    const Host called(reinterpret_cast<const sg_call*>(&host));
    TemporaryFile file;
    SquashfsWriter writer(file.fd(), 0, {}, called);
    host.cancel_after = 3;
    const auto [code, message] = failure([&] {
        BytesStream stream(text(1, 3000000), 100000);
        writer.content("f", 3000000, stream, called);
    });
    BOOST_TEST((code == Code::cancelled));
    host.cancel_after = -1;
    SquashfsWriter second(file.fd(), 0, {}, called);
    MemoryTree tree;
    tree.file("f", 3, store(second, "abc"));
    host.cancel_after = 0;
    BOOST_TEST((failure([&] { second.finish(tree.foreign(), called); }).first == Code::cancelled));
}

BOOST_AUTO_TEST_CASE(compressions_are_named_with_their_levels) {
    const auto is = [](const char* text, squashfs::Compressor compressor, int level) {
        const auto o = parse_compression(text);
        return o.compressor == compressor && o.level == level && o.block_size == 131072;
    };
    BOOST_TEST(is("", squashfs::Compressor::zstd, 3));
    BOOST_TEST(is("zstd", squashfs::Compressor::zstd, 3));
    BOOST_TEST(is("zstd:22", squashfs::Compressor::zstd, 22));
    BOOST_TEST(is("gzip", squashfs::Compressor::gzip, 6));
    BOOST_TEST(is("gzip:12", squashfs::Compressor::gzip, 12));
    BOOST_TEST(is("lz4", squashfs::Compressor::lz4, 0));
    BOOST_TEST(is("xz", squashfs::Compressor::xz, 6));
    for (const char* wrong : {"zstd:0", "zstd:23", "zstd:", "zstd:3x", "zstd:-1", "gzip:0", "gzip:13", "lz4:1", "xz:6", "lzo", "lzma", "ZSTD", ":3", "zstd "}) {
        const auto [code, message] = failure([&] { parse_compression(wrong); });
        BOOST_TEST((code == Code::invalid), wrong);
        BOOST_TEST(contains(message, wrong), message);
    }
    BOOST_TEST(squashfs::clamp_time(INT64_MIN) == 0u);
    BOOST_TEST(squashfs::clamp_time(-1) == 0u);
    BOOST_TEST(squashfs::clamp_time(int64_t{1} << 40) == UINT32_MAX);
}
