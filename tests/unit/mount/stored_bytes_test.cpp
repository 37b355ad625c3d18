// Bytes that an image holds uncompressed go to the kernel from its pages.
#include "mount/stored_bytes.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "client.hpp"

namespace {

constexpr uint32_t part = 32 << 10;

// A file of three parts, each somewhere in the "image": two blocks and a tail in a block that it shares.
struct Image : fake::Root {
    static inline int file = -1;
    static inline std::vector<sg_stored_block> blocks;
    static inline sg_stored_block shared{};
    static inline uint64_t shared_offset = 0;
    sg_root_v1 with_file;
    std::string content;
    uint64_t node;

    Image() {
        char name[] = "/tmp/stored-test.XXXXXX";
        file = mkstemp(name);
        unlink(name);
        std::string image(512 << 10, '\0');
        for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<char>(i * 31 + i / 4099);
        BOOST_REQUIRE(write(file, image.data(), image.size()) == static_cast<ssize_t>(image.size()));
        blocks = {{4096 + 7, part, 1}, {4096 + 7 + part, part, 1}};
        shared = {300000, 60000, 1};
        shared_offset = 1000;
        content = image.substr(4096 + 7, 2 * part) + image.substr(301000, 20000);
        node = add(root(), "f", S_IFREG | 0644, content);
        static const sg_stored_v1 stored{[](sg_root*) { return "test"; }, [](sg_root*) -> int32_t { return file; },
                                         [](sg_root*, uint64_t, sg_stored_block* out, uint64_t capacity, uint64_t* count, sg_stored_block* tail, uint64_t* offset,
                                            sg_error*) -> int32_t {
                                             *count = blocks.size();
                                             for (size_t i = 0; i < std::min<size_t>(capacity, blocks.size()); ++i) out[i] = blocks[i];
                                             *tail = shared;
                                             *offset = shared_offset;
                                             return SG_OK;
                                         }};
        with_file = *table();
        with_file.stored = &stored;
    }
    ~Image() { close(file); }

    // What the pieces hold, together; "": there are none.
    std::string bytes(uint64_t offset, uint64_t want, size_t* count = nullptr) {
        sg::StoredBytes stored(&with_file, handle());
        iovec parts[sg::StoredBytes::most_pieces];
        const size_t n = stored.pieces(node, offset, want, parts);
        if (count) *count = n;
        std::string all;
        for (size_t i = 0; i < n; ++i) all.append(static_cast<char*>(parts[i].iov_base), parts[i].iov_len);
        return all;
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(stored_bytes)

BOOST_AUTO_TEST_CASE(neighbouring_blocks_are_one_piece_and_a_shared_tail_another) {
    Image image;
    size_t count = 0;
    BOOST_TEST((image.bytes(0, 2 * part, &count) == image.content.substr(0, 2 * part)));
    BOOST_TEST(count == 1u);
    BOOST_TEST((image.bytes(0, image.content.size(), &count) == image.content));
    BOOST_TEST(count == 2u);
    BOOST_TEST((image.bytes(part + 100, 20000) == image.content.substr(part + 100, 20000)));
    BOOST_TEST((image.bytes(2 * part - 5000, 20000) == image.content.substr(2 * part - 5000, 20000)));
    BOOST_TEST((image.bytes(2 * part + 1, 19000) == image.content.substr(2 * part + 1, 19000)));
}

BOOST_AUTO_TEST_CASE(compressed_missing_or_few_bytes_are_left_to_the_reader) {
    Image image;
    BOOST_TEST(image.bytes(0, 4096).empty());
    image.blocks[1].raw = 0;
    BOOST_TEST((image.bytes(0, part) == image.content.substr(0, part)));
    BOOST_TEST(image.bytes(0, part + 1).empty());
    BOOST_TEST(image.bytes(2 * part, 19000).empty());
    image.blocks[1] = {0, 0, 0};  // a hole
    BOOST_TEST(image.bytes(part, part).empty());
    image.blocks[1] = {4096, part / 2, 1};  // damaged: in the middle, and too short
    BOOST_TEST(image.bytes(part, part).empty());
}

BOOST_AUTO_TEST_CASE(what_lies_outside_of_the_image_is_not_touched) {
    Image image;
    image.blocks[1].offset = (512 << 10) - part + 1;
    BOOST_TEST(image.bytes(0, 2 * part).empty());
    image.blocks[1].offset = UINT64_MAX - 10;
    BOOST_TEST(image.bytes(0, 2 * part).empty());
    image.shared_offset = 60000;
    BOOST_TEST(image.bytes(2 * part, 19000).empty());
    image.blocks.assign(1000, {4096, part, 1});
    BOOST_TEST(image.bytes(0, part).empty());
}

BOOST_AUTO_TEST_CASE(the_server_answers_a_read_with_them) {
    Image image;
    const std::string content = image.content;
    image.at(image.node).data.assign(content.size(), 'x');  // what the reader would say
    fake::Client c(&image.with_file, image);
    const auto id = c.id(1, "f");
    BOOST_TEST((c.read(id, 0, 1 << 20).body == content));
    BOOST_TEST((c.read(id, part, part).body == content.substr(part, part)));
    BOOST_TEST((c.read(id, 0, 4096).body == std::string(4096, 'x')));
    BOOST_TEST(c.read(id, content.size(), 65536).body.empty());
}

BOOST_AUTO_TEST_CASE(an_image_that_was_truncated_meanwhile_is_no_crash) {
    Image image;
    sg::StoredBytes stored(&image.with_file, image.handle());
    iovec parts[sg::StoredBytes::most_pieces];
    BOOST_REQUIRE(stored.pieces(image.node, 0, 2 * part, parts) == 1u);
    BOOST_REQUIRE(ftruncate(Image::file, 0) == 0);
    int pipes[2];
    BOOST_REQUIRE(pipe(pipes) == 0);
    BOOST_TEST(writev(pipes[1], parts, 1) == -1);
    BOOST_TEST(errno == EFAULT);
    close(pipes[0]);
    close(pipes[1]);
}

BOOST_AUTO_TEST_SUITE_END()
