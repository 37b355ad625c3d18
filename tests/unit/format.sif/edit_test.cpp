// Adding, deleting and making primary (github.com/apptainer/sif, pkg/sif).
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "memory_tree.hpp"
#include "sif/image.hpp"
#include "sif/listing.hpp"
#include "support.hpp"

using namespace sif_test;
using sif::Container;
using singularity::Code;

namespace {

struct Epoch {
    Epoch() { ::setenv("SOURCE_DATE_EPOCH", "2000", 1); }
    ~Epoch() { ::unsetenv("SOURCE_DATE_EPOCH"); }
};

// A stream that breaks in the middle.
class Broken final : public singularity::Stream {
public:
    singularity::Slice next() override {
        if (told_) throw singularity::Error(Code::io, "the source broke");
        told_ = true;
        return singularity::Slice::borrowed("half", 4);
    }

private:
    bool told_ = false;
};

singularity::PartInfo generic(const std::string& name, uint64_t alignment = 0) {
    singularity::PartInfo p;
    p.type = "generic", p.name = name, p.group = 1, p.alignment = alignment, p.created = 5;
    return p;
}

uint64_t add(const std::string& path, const singularity::PartInfo& part, const std::string& bytes) {
    testing::BytesStream data(bytes);
    return sif::SifImage(path, true).add_part(part, data, singularity::Host());
}

std::string bytes_of(const std::string& path, uint64_t id) {
    sif::SifImage image(path, false);
    return all_of(*image.read_part(id, singularity::Host()));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(edit)

BOOST_AUTO_TEST_CASE(an_object_goes_right_behind_the_last_one) {
    const Epoch epoch;
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    BOOST_TEST(add(path, generic("a"), "12345") == 4);
    const auto c = Container::open(path, false);
    const auto& d = c.need(4);
    BOOST_TEST(d.offset == 36864 + 4096);
    BOOST_TEST(d.size == 5);
    BOOST_TEST(d.padded_size == 5);
    BOOST_TEST(d.group == 0xF0000001u);
    BOOST_TEST(d.created == 5);
    BOOST_TEST(c.header().free == 44);
    BOOST_TEST(c.header().modified == 2000);
    BOOST_TEST(c.header().data_size == 36864 + 4096 + 5 - 32176);
    BOOST_TEST(read_file(path).size() == 36864 + 4096 + 5);
    BOOST_TEST(bytes_of(path, 4) == "12345");
    BOOST_TEST(bytes_of(path, 1) == "bootstrap: scratch\n");
}

BOOST_AUTO_TEST_CASE(an_alignment_is_kept_and_counted_as_padding) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    add(path, generic("a"), "1");
    add(path, generic("b", 512), "22");
    const auto c = Container::open(path, false);
    BOOST_TEST(c.need(5).offset == 41472);
    BOOST_TEST(c.need(5).padded_size == 2 + 511);
    BOOST_TEST(bytes_of(path, 5) == "22");
}

BOOST_AUTO_TEST_CASE(an_id_is_used_again_after_a_delete) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    { sif::SifImage(path, true).remove_part(2, false); }
    {
        const auto c = Container::open(path, false);
        BOOST_TEST(!c.find(2));
        BOOST_TEST(c.header().free == 46);
        BOOST_TEST(read_file(path).find("abcd") != std::string::npos);
        BOOST_TEST(message_of([&] { c.need(2); }).find("has no object 2") != std::string::npos);
    }
    BOOST_TEST(add(path, generic("again"), "new") == 2);
    const auto c = Container::open(path, false);
    BOOST_TEST(c.need(2).offset == 40960);  // slot order is not file order
    BOOST_TEST(bytes_of(path, 3) == std::string(4096, 'x'));
}

BOOST_AUTO_TEST_CASE(zero_wipes_the_bytes_of_a_deleted_object) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    sif::SifImage(path, true).remove_part(1, true);
    BOOST_TEST(read_file(path).find("bootstrap") == std::string::npos);
    BOOST_TEST(bytes_of(path, 2) == "abcd");
}

BOOST_AUTO_TEST_CASE(the_file_ends_with_its_last_object) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    sif::SifImage(path, true).remove_part(3, false);
    BOOST_TEST(read_file(path).size() == 32772);
    const auto c = Container::open(path, false);
    BOOST_TEST(c.header().data_size == 32772 - 32176);
    BOOST_TEST(std::strcmp(c.header().arch.data(), "00") == 0);
    BOOST_TEST(!c.primary_partition());
}

BOOST_AUTO_TEST_CASE(a_source_that_breaks_changes_nothing) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    const std::string before = sample();
    write_file(path, before);
    Broken broken;
    BOOST_TEST(message_of([&] { sif::SifImage(path, true).add_part(generic("x"), broken, singularity::Host()); }) ==
               "the source broke");
    BOOST_TEST((read_file(path) == before));
}

// Killed after the data, after the descriptor, and after the whole: always a sound container.
BOOST_AUTO_TEST_CASE(a_killed_editor_leaves_a_sound_container) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    const std::string old = read_file(path);
    add(path, generic("a"), "12345");
    const std::string whole = read_file(path);
    std::string after_data = old + whole.substr(old.size());
    write_file(path, after_data);
    BOOST_TEST(sif::SifImage(path, false).parts().size() == 3u);
    const size_t slot = 4096 + 3 * 585;
    after_data.replace(slot, 585, whole, slot, 585);
    write_file(path, after_data);
    BOOST_TEST(sif::SifImage(path, false).parts().size() == 4u);
    BOOST_TEST(add(path, generic("b"), "6") == 5);
    BOOST_TEST(Container::open(path, false).header().free == 43);
}

BOOST_AUTO_TEST_CASE(only_one_partition_is_primary) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    singularity::PartInfo p;
    p.type = "partition", p.group = 1, p.attributes = {{"fs", "Squashfs"}, {"part", "*System"}, {"arch", "arm64"}};
    BOOST_TEST(message_of([&] { add(path, p, "x"); }).find("has a primary system partition already (object 3)") !=
               std::string::npos);
    p.attributes[1].second = "System";
    BOOST_TEST(add(path, p, "second") == 4);
    BOOST_TEST(Container::open(path, false).need(4).offset % 4096 == 0);
    BOOST_TEST(message_of([&] { sif::SifImage(path, true).set_primary(2); }).find("object 2 is no system partition") !=
               std::string::npos);
    sif::SifImage(path, true).set_primary(4);
    const auto c = Container::open(path, false);
    BOOST_TEST(c.primary_partition()->id == 4u);
    BOOST_TEST(c.need(3).part_type() == sif::part::system);
    BOOST_TEST(sif::arch_name({c.header().arch.data(), 3}) == "arm64");
    BOOST_TEST(bytes_of(path, 3) == std::string(4096, 'x'));
}

BOOST_AUTO_TEST_CASE(a_signature_of_a_group_stays_right_when_another_group_grows) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    const auto covered = [&] {
        std::vector<singularity::PartedImageFile::Covered> parts;
        sif::SifImage image(path, false);
        std::string all = image.covered(1, parts);
        for (const auto& p : parts) all += p.descriptor;
        return all;
    };
    const std::string before = covered();
    auto other = generic("other");
    other.group = 2;
    add(path, other, "data");
    BOOST_TEST((covered() == before));
    singularity::PartInfo signature;
    signature.type = "signature", signature.link = 1, signature.link_is_group = true;
    signature.attributes = {{"hash", "SHA-256"}, {"entity", "12045C8C0B1004D058DE4BEDA20C27EE7FF7BA84"}};
    const auto id = add(path, signature, "-----BEGIN");
    BOOST_TEST((covered() == before));
    const auto c = Container::open(path, false);
    BOOST_TEST(c.need(id).group == 0xF0000000u);
    BOOST_TEST(c.need(id).link == 0xF0000001u);
    BOOST_TEST(sif::info_text(c.need(id)).find("Entity:     12045C8C0B1004D058DE4BEDA20C27EE7FF7BA84\n") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_full_table_says_so) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    for (int i = 3; i < 48; ++i) add(path, generic("n" + std::to_string(i)), "x");
    BOOST_TEST(message_of([&] { add(path, generic("no"), "x"); }).find("has no free descriptor: all 48 are used") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_descriptions_of_an_object_are_refused) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    const std::string before = read_file(path);
    const auto refused = [&](singularity::PartInfo p, const char* text) {
        const std::string message = message_of([&] { add(path, p, "x"); });
        BOOST_TEST(message.find(text) != std::string::npos, message);
    };
    singularity::PartInfo p;
    p.type = "nonsense";
    refused(p, "'nonsense' is no type of SIF object");
    p.type = "partition";
    refused(p, "an object of type partition needs its fs");
    p.attributes = {{"fs", "ntfs"}};
    refused(p, "'ntfs' is not known as fs");
    p.attributes = {{"fs", "1"}, {"part", "3"}, {"arch", "vax"}};
    refused(p, "'vax' is no architecture");
    p = generic(std::string(129, 'n'));
    refused(p, "at most 128 bytes");
    p = generic("x");
    p.link = 99;
    refused(p, "has no object 99");
    p = generic("x", 1ull << 40);
    refused(p, "alignment");
    p = generic("x");
    p.group = 0xF0000000u;
    refused(p, "must be below");
    p = {};
    p.type = "signature", p.attributes = {{"hash", "1"}, {"entity", "xyz"}};
    refused(p, "is no key fingerprint");
    BOOST_TEST((read_file(path) == before));
}

BOOST_AUTO_TEST_CASE(two_editors_do_not_meet) {
    const Folder folder;
    const std::string path = folder / "x.sif";
    write_file(path, sample());
    const sif::SifImage first(path, true);
    BOOST_TEST(message_of([&] { sif::SifImage(path, true); }).find("is being changed by another process") !=
               std::string::npos);
    BOOST_TEST(message_of([&] { sif::SifImage(path, false); }) == "");
}

BOOST_AUTO_TEST_SUITE_END()
