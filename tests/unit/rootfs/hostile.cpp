// Layers that someone made to do harm, and damaged ones.
#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "support.hpp"

using namespace rootfs_test;

namespace {

using L = std::vector<Tar>;

std::function<bool(const sg::Error&)> limit(std::string key) {
    return [key](const sg::Error& e) {
        BOOST_TEST_MESSAGE(e.message());
        return e.code() == sg::Code::limit && e.hint().find(key) != std::string::npos && e.message().starts_with("layer sha256:");
    };
}
bool is_corrupt(const sg::Error& e) {
    BOOST_TEST_MESSAGE(e.message());
    return e.code() == sg::Code::corrupt && e.message().starts_with("layer sha256:");
}

// A GNU old-style sparse file of `real` bytes with `data` at `offset`.
Tar sparse(uint64_t real, uint64_t offset, const std::string& data) {
    Tar t;
    t.file("s", data);
    std::string raw = t.without_end();
    const auto octal = [](uint64_t v) {
        char b[16];
        std::snprintf(b, sizeof b, "%011llo", static_cast<unsigned long long>(v));
        return std::string(b, 12);
    };
    const auto base256 = [](uint64_t v) {
        std::string s(12, '\0');
        s[0] = '\x80';
        for (int i = 11; i > 3; --i, v >>= 8) s[static_cast<size_t>(i)] = static_cast<char>(v & 0xff);
        return s;
    };
    raw[156] = 'S';
    raw.replace(257, 8, std::string("ustar  \0", 8));
    raw.replace(345, 167, std::string(167, '\0'));
    raw.replace(386, 12, base256(offset));
    raw.replace(398, 12, octal(data.size()));
    raw.replace(483, 12, base256(real));
    raw.replace(0, 512, checksummed(raw.substr(0, 512)));
    return Tar().raw(raw);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hostile)

BOOST_AUTO_TEST_CASE(too_many_entries_are_refused) {
    sg::MergeLimits few;
    few.entries = 1000;
    Tar bomb;
    for (int i = 0; i < 1001; ++i) bomb.file("f" + std::to_string(i), "");
    BOOST_CHECK_EXCEPTION(merge(L{bomb}, 1, few), sg::Error, limit("limits.entries"));
    // The same name again and again, and names that only imply directories.
    Tar same;
    for (int i = 0; i < 1001; ++i) same.file("f", "");
    BOOST_CHECK_EXCEPTION(merge(L{same}, 1, few), sg::Error, limit("limits.entries"));
    Tar deep;
    for (int i = 0; i < 20; ++i) {
        std::string path = std::to_string(i);
        for (int d = 0; d < 100; ++d) path += "/d";
        deep.file(path, "");
    }
    BOOST_CHECK_EXCEPTION(merge(L{deep}, 1, few), sg::Error, limit("limits.entries"));
}

BOOST_AUTO_TEST_CASE(a_million_entries_meet_the_limit) {
    struct Bomb final : singularity::Stream {
        std::string block;
        int left = 1100;
        singularity::Slice next() override {
            if (left-- == 0) return {};
            if (block.empty()) {
                Tar t;
                for (int i = 0; i < 1000; ++i) t.file("n" + std::to_string(i), "");
                block = t.without_end();
            }
            return singularity::Slice::borrowed(block.data(), block.size());
        }
    };
    sg::LayerInput l;
    l.name = "sha256:bomb";
    l.open = [] { return std::make_unique<Bomb>(); };
    sg::MergeLimits million;
    million.entries = 1'000'000;
    BOOST_CHECK_EXCEPTION(merge({l}, 2, million), sg::Error, limit("limits.entries"));
}

BOOST_AUTO_TEST_CASE(a_sparse_file_is_handed_on_as_holes_and_never_filled) {
    Merged m = merge(L{sparse(100ull << 30, 99ull << 30, "data")});
    BOOST_TEST(m.recorder.contents.at(0).bytes == "data");
    BOOST_TEST(m.recorder.contents.at(0).holes == (100ull << 30) - 4);
    BOOST_TEST(m.tree.find("s").value().size == 100ull << 30);
    BOOST_CHECK_EXCEPTION(merge(L{sparse(1'000'000'000'000, 1 << 20, "data")}), sg::Error, limit("limits.file_size"));
}

BOOST_AUTO_TEST_CASE(a_sparse_map_outside_of_its_file_is_refused) {
    BOOST_CHECK_EXCEPTION(merge(L{sparse(1000, 5000, "data")}), sg::Error, is_corrupt);
    BOOST_CHECK_EXCEPTION(merge(L{sparse(5002, 5000, "data")}), sg::Error, is_corrupt);
}

BOOST_AUTO_TEST_CASE(large_files_and_images_meet_their_limits) {
    sg::MergeLimits small;
    small.file_size = 10;
    BOOST_CHECK_EXCEPTION(merge(L{Tar().file("f", "01234567890")}, 1, small), sg::Error, limit("limits.file_size"));
    small.file_size = 1 << 20;
    small.image_size = 6000;
    const std::string data(2000, 'x');
    BOOST_TEST(merge(L{Tar().file("f", data).file("g", data)}, 1, small).recorder.contents.size() == 2u);
    BOOST_CHECK_EXCEPTION(merge(L{Tar().file("f", data), Tar().file("g", data), Tar().file("h", data), Tar().file("i", data)}, 1, small),
                          sg::Error, limit("limits.image_size"));
    // Nothing but padding: the tar itself is too large.
    BOOST_CHECK_EXCEPTION(merge(L{Tar().raw(std::string(17 << 20, '\0'))}, 2, small), sg::Error, limit("limits.image_size"));
}

BOOST_AUTO_TEST_CASE(large_extended_attributes_meet_their_limit) {
    sg::MergeLimits small;
    small.xattr_bytes = 100;
    BOOST_CHECK_EXCEPTION(merge(L{Tar().file("f", "", {.xattrs = {{"user.a", std::string(100, 'x')}}})}, 1, small), sg::Error,
                          limit("limits.xattr_bytes"));
}

BOOST_AUTO_TEST_CASE(a_pax_header_of_absurd_size_is_refused) {
    BOOST_CHECK_THROW(merge(L{Tar().header('x', "x", "", 1ull << 40, "").file("f", "")}), sg::Error);
    BOOST_CHECK_THROW(merge(L{Tar().header('x', "x", "", 2 << 20, std::string(2 << 20, 'a')).file("f", "")}), sg::Error);
    BOOST_CHECK_THROW(merge(L{Tar().header('L', "x", "", 1ull << 40, "").file("f", "")}), sg::Error);
}

BOOST_AUTO_TEST_CASE(a_file_that_ends_before_its_size_is_refused) {
    BOOST_CHECK_EXCEPTION(merge(L{Tar().header('0', "f", "", 1ull << 40, "data")}), sg::Error, limit("limits.file_size"));
    BOOST_CHECK_EXCEPTION(merge(L{Tar().header('0', "f", "", 1 << 20, "data")}), sg::Error, is_corrupt);
    // The same when a newer layer hides it.
    BOOST_CHECK_EXCEPTION(merge(L{Tar().header('0', "f", "", 1ull << 40, "data"), Tar().file("f", "x")}), sg::Error, is_corrupt);
}

BOOST_AUTO_TEST_CASE(negative_and_overflowing_sizes_are_refused) {
    Tar t;
    t.file("f", "data");
    for (const std::string& field : {std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80", 12),
                                     std::string("\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12),
                                     std::string("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12)}) {
        std::string raw = t.without_end();
        raw.replace(124, 12, field);
        raw.replace(0, 512, checksummed(raw.substr(0, 512)));
        BOOST_CHECK_THROW(merge(L{Tar().raw(raw)}), sg::Error);
    }
}

BOOST_AUTO_TEST_CASE(data_that_is_no_tar_is_refused) {
    BOOST_CHECK_EXCEPTION(merge({layer("this is no tar archive, it is a line of text\n")}), sg::Error, is_corrupt);
    std::string noise;
    for (int i = 0; i < 5000; ++i) noise.push_back(static_cast<char>(i * 31 + i / 7));
    BOOST_CHECK_EXCEPTION(merge({layer(noise)}), sg::Error, is_corrupt);
    // Damage between two entries is not skipped.
    std::string tar = Tar().file("a", "1").file("b", "2").bytes();
    tar.replace(1024, 100, std::string(100, 'Q'));
    BOOST_CHECK_EXCEPTION(merge({layer(tar)}), sg::Error, is_corrupt);
}

BOOST_AUTO_TEST_CASE(a_tar_cut_anywhere_never_crashes) {
    const std::string tar = Tar()
                                .dir("d", {.xattrs = {{"user.x", "y"}}})
                                .file("d/" + std::string(150, 'n'), std::string(700, 'x'))
                                .link("l", "d")
                                .hard("h", "d/" + std::string(150, 'n'))
                                .bytes();
    for (size_t n = 0; n < tar.size(); n += 61) {
        try {
            merge({layer(tar.substr(0, n))});
        } catch (const sg::Error& e) {
            BOOST_TEST((e.code() == sg::Code::corrupt), e.what());
        }
    }
}

BOOST_AUTO_TEST_CASE(taking_back_directories_again_and_again_is_bounded) {
    // A newer layer fills a directory; an older one replaces it by a file and a directory in turns.
    Tar wide, turns;
    for (int i = 0; i < 3000; ++i) wide.file("d/" + std::to_string(i), "");
    for (int i = 0; i < 300; ++i) turns.file("d", "").file("d/x", "");
    Merged m = merge(L{turns, wide});
    BOOST_TEST(m.tree.find("d/x").has_value());
    BOOST_TEST(m.tree.names("d").size() == 3001u);
}

BOOST_AUTO_TEST_CASE(owners_that_are_no_ids_are_refused) {
    Tar t;
    t.pax("uid", "99999999999").file("f", "");
    BOOST_CHECK_EXCEPTION(merge(L{t}), sg::Error, is_corrupt);
}

BOOST_AUTO_TEST_CASE(many_hard_links_to_one_file_are_one_file) {
    Tar t;
    t.file("f", "x");
    for (int i = 0; i < 1000; ++i) t.hard("l" + std::to_string(i), "f");
    Merged m = merge(L{t, Tar().file(".wh.f", "")});
    BOOST_TEST(m.recorder.contents.size() == 1u);
    BOOST_TEST(m.tree.view().stat(m.tree.view().find("l7")).nlink == 1000u);
}

BOOST_AUTO_TEST_SUITE_END()
