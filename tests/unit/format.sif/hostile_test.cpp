// Damaged and hostile containers: every check of header and descriptors, and each field at its extremes.
#include <boost/test/unit_test.hpp>
#include <cstring>

#include "memory_tree.hpp"
#include "sif/image.hpp"
#include "sif/listing.hpp"
#include "support.hpp"

using namespace sif_test;
using singularity::Code;

namespace {

void put(std::string& bytes, size_t at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

// All that a command can ask of the container; throws what it finds.
void use(const std::string& bytes) {
    const Folder folder;
    write_file(folder / "x.sif", bytes);
    sif::SifImage image(folder / "x.sif", false);
    for (const auto& part : image.parts()) all_of(*image.read_part(part.id, singularity::Host()));
    const auto c = sif::Container::open(folder / "x.sif", false);
    sif::list_text(c), sif::list_json(c), sif::header_text(c), sif::header_json(c);
    for (const auto* o : c.objects()) sif::info_text(*o);
    image.info();
    message_of([&] { image.mount_plan(); });
    message_of([&] { image.root(); });
    for (uint64_t group : {1ull, 0ull, 0x0fffffffull, ~0ull}) {
        std::vector<singularity::PartedImageFile::Covered> parts;
        message_of([&] { image.covered(group, parts); });
    }
}

constexpr size_t slot(size_t n) { return sif::default_table + n * sif::descriptor_bytes; }

struct Change {
    const char* what;
    size_t at;
    uint64_t value;
    size_t size;
    const char* message;  // must be in what is thrown
};

}  // namespace

BOOST_AUTO_TEST_SUITE(hostile)

BOOST_AUTO_TEST_CASE(the_sample_itself_is_sound) {
    BOOST_TEST(message_of([] { use(sample()); }) == "");
}

BOOST_AUTO_TEST_CASE(each_check_says_what_failed) {
    const Change changes[] = {
        {"magic", 32, 'X', 1, "does not have the SIF magic"},
        {"version", 43, '2', 1, "incompatible SIF version"},
        {"free negative", 80, ~0ull, 8, "descriptors free in the header is negative (-1)"},
        {"free above total", 80, 49, 8, "more descriptors are free (49) than there are (48)"},
        {"total negative", 88, 1ull << 63, 8, "descriptors total in the header is negative"},
        {"total too many for the table", 88, 49, 8,
         "49 descriptors do not fit into the descriptors size of 28080 bytes"},
        {"total absurd", 88, 0xffffffff, 8, "more than the limit of 65536"},
        {"table over the header", 96, 100, 8, "the descriptors lie over the header"},
        {"table past the end", 96, 1ull << 40, 8, "lie past the end of the file"},
        {"table offset overflows", 96, INT64_MAX, 8, "lie past the end of the file"},
        {"table size absurd", 104, INT64_MAX, 8, "lie past the end of the file"},
        {"data offset in the header", 112, 5, 8, "the data offset 5 lies in the header"},
        {"data offset past the end", 112, 1ull << 50, 8, "lies past the end of the file"},
        {"data size negative", 120, ~0ull, 8, "data size in the header is negative"},
        {"data size overflows", 120, INT64_MAX, 8, "data offset and data size are too large"},
        {"used is 2", slot(0) + 4, 2, 1, "is marked as used with 2"},
        {"id 0", slot(0) + 5, 0, 4, "has the id 0"},
        {"id twice", slot(1) + 5, 1, 4, "two objects have the id 1"},
        {"offset negative", slot(0) + 17, ~0ull, 8, "object 1 (Def.FILE) has a negative offset or size"},
        {"size negative", slot(1) + 25, ~0ull, 8, "object 2 (FS) has a negative offset or size"},
        {"padding negative", slot(2) + 33, ~0ull, 8, "object 3 (FS) has a negative offset or size"},
        {"object past the end", slot(2) + 25, 4097, 8,
         "object 3 (FS) (offset 36864, 4097 bytes) lies past the end of the file"},
        {"offset overflows", slot(2) + 17, INT64_MAX, 8, "lies past the end of the file"},
        {"object over the header", slot(0) + 17, 0, 8, "overlaps"},
        {"object over the table", slot(0) + 17, 4090, 8, "overlaps"},
        {"objects overlap", slot(1) + 17, 36866, 8, "object 2 (FS) overlaps object 3 (FS) at byte 36866"},
        {"two primary partitions", slot(1) + 201 + 4, 2, 4,
         "two primary system partitions, object 2 (FS) and object 3 (FS)"},
    };
    for (const Change& c : changes) {
        std::string bytes = sample();
        put(bytes, c.at, c.value, c.size);
        const std::string message = message_of([&] { use(bytes); });
        BOOST_TEST(message.find(c.message) != std::string::npos, c.what << ": " << message);
    }
}

BOOST_AUTO_TEST_CASE(every_field_at_its_extremes_gives_an_error_or_a_result) {
    const std::string good = sample();
    std::vector<std::pair<size_t, size_t>> fields = {{0, 32}, {32, 10}, {42, 3}, {45, 3}, {48, 16}};
    for (size_t at = 64; at < 128; at += 8) fields.emplace_back(at, 8);
    for (size_t n = 0; n < 4; ++n)
        for (const auto& [at, size] : {std::pair<size_t, size_t>{0, 4},
                                       {4, 1},
                                       {5, 4},
                                       {9, 4},
                                       {13, 4},
                                       {17, 8},
                                       {25, 8},
                                       {33, 8},
                                       {41, 8},
                                       {49, 8},
                                       {57, 8},
                                       {65, 8},
                                       {73, 128},
                                       {201, 4},
                                       {205, 4},
                                       {209, 3},
                                       {201, 384}})
            fields.emplace_back(slot(n) + at, size);
    const uint64_t extremes[] = {0,
                                 1,
                                 2,
                                 127,
                                 128,
                                 4095,
                                 4096,
                                 32176,
                                 36864,
                                 good.size() - 1,
                                 good.size(),
                                 good.size() + 1,
                                 INT32_MAX,
                                 0x80000000ull,
                                 UINT32_MAX,
                                 INT64_MAX - 1,
                                 INT64_MAX,
                                 1ull << 63,
                                 UINT64_MAX - 1,
                                 UINT64_MAX};
    for (const auto& [at, size] : fields)
        for (const uint64_t value : extremes) {
            std::string bytes = good;
            if (size <= 8)
                put(bytes, at, value, size);
            else
                std::memset(bytes.data() + at, static_cast<int>(value), size);
            try {
                use(bytes);
            } catch (const singularity::Error& e) {
                BOOST_TEST(!e.message().empty());
                BOOST_TEST((e.code() != Code::internal));
            }
        }
}

BOOST_AUTO_TEST_CASE(every_truncation_is_noticed) {
    const std::string good = sample();
    for (size_t size :
         {size_t{0}, size_t{1}, size_t{32}, size_t{42}, size_t{127}, size_t{128}, size_t{4096}, size_t{10000},
          size_t{32175}, size_t{32176}, size_t{32180}, size_t{32770}, size_t{36864}, good.size() - 1})
        BOOST_TEST(message_of([&] { use(good.substr(0, size)); }) != "", size);
}

BOOST_AUTO_TEST_CASE(types_that_are_not_known_are_listed_and_left_alone) {
    std::string bytes = sample();
    put(bytes, slot(0), 0x7777, 4);
    const Folder folder;
    write_file(folder / "x.sif", bytes);
    sif::SifImage image(folder / "x.sif", false);
    BOOST_TEST(image.parts()[0].type == "unknown");
    BOOST_TEST(image.parts()[0].attributes[0].second == "0x7777");
    BOOST_TEST(image.info().runnable == 1);
    BOOST_TEST(run_sif("list", {folder / "x.sif"}).out.find("|Unknown\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_hostile_name_does_not_reach_the_terminal) {
    std::string bytes = sample();
    bytes.replace(slot(0) + 73, 12, "\x1b[31mred\xc2\x9b""1m");
    const Folder folder;
    write_file(folder / "x.sif", bytes);
    const std::string out = run_sif("info", {"1", folder / "x.sif"}).out;
    BOOST_TEST(out.find('\x1b') == std::string::npos);
    BOOST_TEST(out.find("\\x1b[31mred\\xc2\\x9b1m") != std::string::npos);
    BOOST_TEST(run_sif("info", {"1", folder / "x.sif"}, {{"json", "true"}}).out.find('\x1b') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_old_file_with_another_data_offset_is_read) {
    std::string bytes = sample();
    put(bytes, 112, 32768, 8);
    put(bytes, slot(0) + 4, 0, 1);      // no object before it
    put(bytes, slot(1) + 57, 1000, 8);  // uid and gid of the builder
    put(bytes, slot(1) + 65, 100, 8);
    BOOST_TEST(message_of([&] { use(bytes); }) == "");
}

BOOST_AUTO_TEST_CASE(what_is_no_file_is_refused) {
    const Folder folder;
    BOOST_TEST((code_of([&] { sif::SifImage(folder.path(), false); }) == Code::invalid));
    BOOST_TEST((code_of([&] { sif::SifImage(folder / "absent", false); }) == Code::not_found));
    BOOST_TEST((code_of([&] { sif::SifImage("/dev/null", false); }) == Code::invalid));
}

BOOST_AUTO_TEST_SUITE_END()
