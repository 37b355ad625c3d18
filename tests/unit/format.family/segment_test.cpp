// SPDX-License-Identifier: BSD-3-Clause
// Layers as streams, with a segment made of them, and out of that segment: always the same image.
#include <fcntl.h>
#include <unistd.h>

#include <family/segment.hpp>
#include <random>

#include "support.hpp"

using namespace testing;
using singularity::Code;
using singularity::Host;
using squashfs::parse_compression;
using squashfs::SquashfsWriter;

namespace {

struct File {
    std::string path, bytes;
};
using Layer = std::vector<File>;

// Small, large, empty-looking, equal and hot files, so that every way through the writer is taken.
Layer a_layer(uint32_t seed, size_t files) {
    Layer out;
    std::mt19937 random(seed);
    for (size_t i = 0; i < files; ++i) {
        const auto n = static_cast<uint32_t>(seed * 1000 + i);
        const size_t size = 1 + random() % (i % 6 == 0 ? 400000 : 9000);
        std::string bytes;
        switch (i % 9) {
            case 0: bytes = noise(n, size); break;
            case 1: bytes = std::string(size, '\0'); break;
            case 2: bytes = out[random() % out.size()].bytes; break;
            case 3: bytes = text(n, size / 131072 * 131072 + 131072); break;
            case 4: bytes = text(n, size) + std::string(200000, '\0') + text(n + 1, size); break;
            default: bytes = text(n, size);
        }
        std::string path = "usr/share/" + std::to_string(i);
        if (i == 5) path = "bin/bash";
        if (i == 14) path = "lib/x86_64-linux-gnu/libc.so.6", bytes = noise(n, 1500000);
        if (i == 15) path = "etc/passwd";
        out.push_back({path, bytes});
    }
    return out;
}

struct Shown {
    const Layer* layer;
    std::function<bool(size_t)> hidden;
};

class Store {
public:
    ~Store() = default;
    std::unique_ptr<squashfs::StoredSegment> open() const {
        return std::make_unique<squashfs::StoredSegment>(file.fd(), end.data_size, end.size, image->fd());
    }
    TemporaryFile file;
    std::shared_ptr<TemporaryFile> image;  // that it was made with
    singularity::SegmentEnd end;
};

enum class How { streams, making, stored };

// An image of these layers; `stores` are filled or used, one for each. It lies at `base` in its file.
std::string image_of(const std::vector<Shown>& layers, How how, std::vector<std::unique_ptr<Store>>& stores,
                     unsigned workers, const std::string& compress = "", squashfs::WriterStats* stats = nullptr,
                     uint64_t base = 4096) {
    Written w = written(
        parse_compression(compress), workers,
        [&](SquashfsWriter& writer, MemoryTree& tree) {
            tree.add("all", 040755);
            uint32_t names = 0;
            for (size_t l = 0; l < layers.size(); ++l) {
                std::unique_ptr<squashfs::StoredSegment> segment;
                if (how == How::making) stores.push_back(std::make_unique<Store>());
                if (how == How::stored) {
                    segment = stores[l]->open();
                    writer.begin_stored(*segment);
                } else {
                    writer.begin_layer(how == How::making ? stores[l]->file.fd() : -1);
                }
                for (size_t i = 0; i < layers[l].layer->size(); ++i) {
                    const File& f = (*layers[l].layer)[i];
                    const bool hidden = layers[l].hidden(i);
                    uint64_t id = SG_NO_CONTENT;
                    if (how == How::stored) {
                        id = writer.stored(f.path.c_str(), hidden, Host());
                    } else {
                        BytesStream stream(f.bytes, i % 2 == 0 ? size_t{1} << 20 : 70000);
                        if (!hidden)
                            id = writer.content(f.path.c_str(), f.bytes.size(), stream, Host());
                        else
                            writer.hidden(f.path.c_str(), f.bytes.size(), how == How::making ? &stream : nullptr,
                                          Host());
                    }
                    if (!hidden) tree.file("all/" + std::to_string(names++), f.bytes.size(), id);
                }
                const auto end = writer.end_layer(Host());
                if (how == How::making) {
                    BOOST_CHECK_EQUAL(end.why, "");
                    BOOST_REQUIRE_GT(end.size, 0u);
                    stores[l]->end = end;
                }
            }
            const std::string last = text(99, 5000);
            tree.file("all/last", last.size(), store(writer, last));
        },
        base);
    uint32_t names = 0;
    for (const Shown& l : layers)
        for (size_t i = 0; i < l.layer->size(); ++i)
            if (!l.hidden(i)) BOOST_REQUIRE(read_file(*w, "all/" + std::to_string(names++)) == (*l.layer)[i].bytes);
    if (stats) *stats = w.stats;
    std::string bytes = w.bytes();
    if (how == How::making) {
        const std::shared_ptr<TemporaryFile> image(std::move(w.file));
        for (const auto& s : stores) s->image = image;
    }
    return bytes;
}

bool none(size_t) { return false; }

}  // namespace

BOOST_AUTO_TEST_CASE(an_image_has_the_same_bytes_with_segments_and_without) {
    const Layer base = a_layer(1, 150), top = a_layer(2, 60);
    const std::vector<std::function<bool(size_t)>> ways{none, [](size_t i) { return i % 7 == 3; },
                                                        [](size_t i) { return i < 60 || i == 80; },
                                                        [](size_t) { return true; }};
    for (const char* compress : {"", "gzip", "lz4"}) {
        std::vector<std::unique_ptr<Store>> stores, ignored;
        for (size_t way = 0; way < ways.size(); ++way) {
            const std::vector<Shown> layers{{&top, none}, {&base, ways[way]}};
            const std::string plain = image_of(layers, How::streams, ignored, 2, compress);
            for (const unsigned workers : {0u, 1u, 8u}) {
                if (*compress && workers != 1) continue;  // one of each is enough
                std::vector<std::unique_ptr<Store>> made;
                BOOST_CHECK(image_of(layers, How::streams, ignored, workers, compress) == plain);
                BOOST_CHECK(image_of(layers, How::making, made, workers, compress) == plain);
                // Of an image that shows the same, and of one that shows all.
                BOOST_CHECK(image_of(layers, How::stored, made, workers, compress) == plain);
                if (stores.empty()) stores = std::move(made);
                BOOST_CHECK(image_of(layers, How::stored, stores, workers, compress) == plain);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(stored_layers_are_copied_and_not_compressed_again) {
    const Layer base = a_layer(3, 200);
    std::vector<std::unique_ptr<Store>> stores;
    squashfs::WriterStats made, stored;
    image_of({{&base, none}}, How::making, stores, 2, "", &made);
    image_of({{&base, none}}, How::stored, stores, 2, "", &stored);
    BOOST_CHECK_GT(made.blocks_compressed, 100u);
    BOOST_CHECK_LT(stored.blocks_compressed, made.blocks_compressed / 5);  // hot files, and what is outside of layers
    BOOST_CHECK_EQUAL(stored.bytes_in, made.bytes_in);
    BOOST_CHECK_EQUAL(stored.files_shared, made.files_shared);
}

BOOST_AUTO_TEST_CASE(a_hidden_file_moves_only_its_own_run) {
    // 48 MB of noise in files of 512 KiB: runs of 8 MiB. What lies behind a hidden one is at the same place in its
    // page.
    Layer base;
    for (uint32_t i = 0; i < 96; ++i) base.push_back({"f" + std::to_string(i), noise(i, (512 << 10) - 100)});
    std::vector<std::unique_ptr<Store>> stores;
    image_of({{&base, none}}, How::making, stores, 2);
    const auto segment = stores[0]->open();
    const std::string with_hole = image_of({{&base, [](size_t i) { return i == 3; }}}, How::stored, stores, 2);
    size_t in_step = 0;
    for (size_t i = 0; i < base.size(); ++i) {
        const size_t at = with_hole.find(base[i].bytes.substr(0, 64));
        if (i == 3) continue;
        BOOST_REQUIRE(at != std::string::npos);
        in_step += at % 4096 == segment->index().files[i].start % 4096 ? 1 : 0;
    }
    BOOST_CHECK_GE(in_step, 78u);  // all but those that follow in the first run
}

BOOST_AUTO_TEST_CASE(the_files_of_a_segment_can_be_read) {
    const Layer base = a_layer(4, 120);
    std::vector<std::unique_ptr<Store>> stores;
    image_of({{&base, [](size_t i) { return i % 2 == 0; }}}, How::making, stores, 2);
    const auto segment = stores[0]->open();
    BOOST_REQUIRE_EQUAL(segment->count(), base.size());
    size_t kept = 0;
    for (size_t i = 0; i < base.size(); ++i) {
        BOOST_CHECK(segment->has(i) || i % 2 == 0);
        if (!segment->has(i)) {
            BOOST_CHECK_THROW((void)segment->read(i), singularity::Error);
            continue;
        }
        const auto stream = segment->read(i);
        BOOST_CHECK(singularity::read_all(*stream, UINT32_MAX, "a file") == base[i].bytes);
        kept += i % 2 == 0 ? 1 : 0;
    }
    BOOST_CHECK_GT(kept, 10u);
    BOOST_CHECK_THROW((void)segment->read(base.size()), singularity::Error);
}

BOOST_AUTO_TEST_CASE(a_damaged_index_is_refused_and_never_read_beyond) {
    const Layer base = a_layer(5, 60);
    std::vector<std::unique_ptr<Store>> stores;
    image_of({{&base, none}}, How::making, stores, 1);
    const std::string whole = stores[0]->file.bytes();
    const std::string index = whole.substr(stores[0]->end.data_size);
    const std::vector<uint8_t> good(index.begin(), index.end());
    BOOST_CHECK_EQUAL(squashfs::decode_index(good).files.size(), base.size());
    for (size_t n = 0; n < good.size(); n += 13)
        BOOST_CHECK_THROW(squashfs::decode_index({good.data(), n}), singularity::Error);
    std::mt19937 random(7);
    for (int i = 0; i < 4000; ++i) {
        std::vector<uint8_t> bad = good;
        bad[random() % bad.size()] ^= static_cast<uint8_t>(1u << random() % 8);
        try {
            const auto got = squashfs::decode_index(bad);
            for (const auto& f : got.files) BOOST_REQUIRE(f.missing || f.first_size + f.blocks <= got.sizes.size());
        } catch (const singularity::Error& e) {
            BOOST_REQUIRE(e.code() == Code::corrupt);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_an_image_has_is_not_written_a_second_time) {
    const Layer base = a_layer(9, 200);
    std::vector<std::unique_ptr<Store>> all, most, few;
    const std::string image = image_of({{&base, none}}, How::making, all, 2);
    const size_t hot = 2000000;  // is stored once more: it lies outside of the layer
    BOOST_CHECK_LT(all[0]->file.bytes().size(), image.size() / 20 + hot);
    // What it hides is kept as long as it is little.
    image_of({{&base, [](size_t i) { return i % 40 == 1; }}}, How::making, most, 2);
    image_of({{&base, [](size_t i) { return i % 40 != 1; }}}, How::making, few, 2);
    const auto kept = [&](const auto& stores) {
        const auto segment = stores[0]->open();
        size_t n = 0;
        for (size_t i = 0; i < base.size(); ++i) n += segment->has(i) ? 1 : 0;
        return n;
    };
    BOOST_CHECK_EQUAL(kept(all), base.size());
    BOOST_CHECK_EQUAL(kept(most), base.size());
    BOOST_CHECK_LT(kept(few), base.size());
    BOOST_CHECK_LT(few[0]->file.bytes().size(), size_t{5} << 20);
}

BOOST_AUTO_TEST_CASE(a_segment_is_refused_without_its_image_and_for_a_file_that_it_lacks) {
    Layer base;
    for (uint32_t i = 0; i < 30; ++i) base.push_back({"f" + std::to_string(i), noise(i, 400000)});
    std::vector<std::unique_ptr<Store>> stores, ignored;
    const auto later = [](size_t i) { return i > 1; };
    const std::string plain = image_of({{&base, later}}, How::making, stores, 2);
    BOOST_CHECK(image_of({{&base, later}}, How::stored, stores, 2) == plain);
    BOOST_CHECK_THROW(image_of({{&base, none}}, How::stored, stores, 2), singularity::Error);
    BOOST_CHECK_THROW(squashfs::StoredSegment(stores[0]->file.fd(), stores[0]->end.data_size, stores[0]->end.size),
                      singularity::Error);
}

BOOST_AUTO_TEST_CASE(a_segment_of_another_layer_is_refused) {
    const Layer one = a_layer(6, 30), other = a_layer(6, 20);
    std::vector<std::unique_ptr<Store>> stores, ignored;
    image_of({{&one, none}}, How::making, stores, 1);
    BOOST_CHECK_THROW(image_of({{&other, none}}, How::stored, stores, 1), singularity::Error);
    BOOST_CHECK_THROW(image_of({{&one, none}}, How::stored, stores, 1, "gzip"), singularity::Error);
}

BOOST_AUTO_TEST_CASE(a_segment_that_cannot_be_written_does_no_harm_to_the_image) {
    const Layer base = a_layer(8, 100);
    std::vector<std::unique_ptr<Store>> ignored;
    const std::string plain = image_of({{&base, none}}, How::streams, ignored, 2);
    const int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    BOOST_REQUIRE_GE(full, 0);
    Written w = written(parse_compression(""), 2, [&](SquashfsWriter& writer, MemoryTree& tree) {
        tree.add("all", 040755);
        writer.begin_layer(full);
        for (size_t i = 0; i < base.size(); ++i) {
            BytesStream stream(base[i].bytes);
            tree.file("all/" + std::to_string(i), base[i].bytes.size(),
                      writer.content(base[i].path.c_str(), base[i].bytes.size(), stream, Host()));
        }
        const auto end = writer.end_layer(Host());
        BOOST_CHECK_EQUAL(end.size, 0u);
        BOOST_CHECK(contains(end.why, "No space left"));
        const std::string last = text(99, 5000);
        tree.file("all/last", last.size(), store(writer, last));
    });
    close(full);
    BOOST_CHECK(w.bytes() == plain);
}

BOOST_AUTO_TEST_CASE(the_family_names_all_that_changes_the_bytes_of_a_segment) {
    const auto family = [](const char* compress) {
        const TemporaryFile file;
        return SquashfsWriter(file.fd(), 0, parse_compression(compress), 0u).family();
    };
    BOOST_CHECK_EQUAL(family(""), family("zstd:3"));
    BOOST_CHECK_NE(family("zstd:3"), family("zstd:4"));
    BOOST_CHECK_NE(family("gzip:6"), family("lz4"));
    BOOST_CHECK(contains(family(""), "zstd 1."));
}
