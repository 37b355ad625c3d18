// A new SIF: order and place of its objects, times, and the same bytes each time.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <cstring>

#include "memory_tree.hpp"
#include "sif/format.hpp"
#include "support.hpp"

using namespace sif_test;
using singularity::Code;
using singularity::Host;

namespace {

singularity::CreateSpec spec_of(int fd, int64_t time = 1544117389) {
    singularity::CreateSpec spec;
    spec.fd = fd, spec.path = "x.sif", spec.arch = "amd64", spec.time = time;
    for (int i = 0; i < 16; ++i) spec.uuid[i] = static_cast<uint8_t>(i);
    return spec;
}

void write_image(int fd, int64_t time = 1544117389) {
    sif::SifWriter writer(spec_of(fd, time), Host());
    writer.part("deffile", "", "bootstrap: oci\nfrom: x\n\n");
    writer.part("json", "inspect-metadata.json", "{\"a\":1}");
    writer.part("json", "oci-config.json", "{}");
    testing::MemoryTree tree;
    tree.add("etc", 040755);
    testing::BytesStream hosts("127.0.0.1 localhost\n"), big(testing::text(1, 300000));
    tree.file("etc/hosts", 20, writer.content("etc/hosts", 20, hosts, Host()));
    tree.file("etc/big", 300000, writer.content("etc/big", 300000, big, Host()));
    writer.part("generic", "late", "after the contents");
    writer.finish(tree.foreign(), Host());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(writer)

BOOST_AUTO_TEST_CASE(objects_have_the_order_and_places_of_apptainers_files) {
    const testing::TemporaryFile file;
    write_image(file.fd());
    const auto c = sif::Container::parse(sif::File(::dup(file.fd())), "x.sif", file.size());
    const auto objects = c.objects();
    BOOST_REQUIRE(objects.size() == 5u);
    const char* types[] = {"Def.FILE", "JSON.Generic", "JSON.Generic", "FS", "Generic/Raw"};
    for (size_t i = 0; i < 5; ++i) {
        BOOST_TEST(sif::type_text(objects[i]->type) == types[i]);
        BOOST_TEST(objects[i]->id == i + 1);
        BOOST_TEST(objects[i]->group == 0xF0000001u);
        BOOST_TEST(objects[i]->link == 0u);
        BOOST_TEST(objects[i]->created == 1544117389);
        BOOST_TEST(objects[i]->modified == 1544117389);
        BOOST_TEST(objects[i]->uid == 0);
    }
    BOOST_TEST(objects[0]->name_text() == "");
    BOOST_TEST(objects[1]->name_text() == "inspect-metadata.json");
    BOOST_TEST(objects[2]->name_text() == "oci-config.json");
    BOOST_TEST(objects[0]->offset == 32176);
    BOOST_TEST(objects[1]->offset == 32176 + objects[0]->size);
    BOOST_TEST(objects[2]->offset == objects[1]->offset + objects[1]->size);
    BOOST_TEST(objects[3]->offset == 32768);
    BOOST_TEST(objects[3]->padded_size == 32768 - objects[2]->offset - 2 + objects[3]->size);
    BOOST_TEST(objects[3]->part_type() == sif::part::primary);
    BOOST_TEST(objects[3]->fs_type() == sif::fs::squashfs);
    BOOST_TEST(objects[4]->offset == objects[3]->offset + objects[3]->size);
    const auto& h = c.header();
    BOOST_TEST(std::string(h.launch.data()) == "#!/usr/bin/env run-singularity\n");
    BOOST_TEST(sif::arch_name({h.arch.data(), 3}) == "amd64");
    BOOST_TEST(h.free == 43);
    BOOST_TEST(h.created == 1544117389);
    BOOST_TEST(h.data_size == static_cast<int64_t>(file.size()) - 32176);
    BOOST_TEST(sif::uuid_text(h.uuid) == "00010203-0405-0607-0809-0a0b0c0d0e0f");
    // The gap between header and table, and between parts and partition, is zero.
    BOOST_TEST(file.bytes(128, 4096 - 128) == std::string(4096 - 128, '\0'));
    BOOST_TEST(all_of(*c.read(*objects[4], {})) == "after the contents");
    BOOST_TEST(all_of(*c.read(*objects[0], {})) == "bootstrap: oci\nfrom: x\n\n");
}

BOOST_AUTO_TEST_CASE(an_unset_time_is_the_deterministic_one) {
    const testing::TemporaryFile file;
    write_image(file.fd(), INT64_MIN);
    const auto c = sif::Container::parse(sif::File(::dup(file.fd())), "x.sif", file.size());
    BOOST_TEST(c.header().created == sif::unset_time);
    BOOST_TEST(c.need(1).modified == sif::unset_time);
    BOOST_TEST(hex(file.bytes(64, 8)) == "00096e88f1ffffff");
}

BOOST_AUTO_TEST_CASE(the_same_calls_give_the_same_bytes) {
    const testing::TemporaryFile a, b;
    write_image(a.fd());
    // What an earlier use left in the file must not shine through.
    BOOST_REQUIRE(::pwrite(b.fd(), std::string(700000, 'j').data(), 700000, 0) == 700000);
    BOOST_REQUIRE(::ftruncate(b.fd(), 0) == 0);
    write_image(b.fd());
    BOOST_TEST((a.bytes() == b.bytes()));
}

BOOST_AUTO_TEST_CASE(the_image_can_be_read_again) {
    const Folder folder;
    const testing::TemporaryFile file;
    write_image(file.fd());
    write_file(folder / "x.sif", file.bytes());
    sif::SifImage image(folder / "x.sif", false);
    const auto info = image.info();
    BOOST_TEST(std::string(info.format) == "sif");
    BOOST_TEST(std::string(info.arch) == "amd64");
    BOOST_TEST(info.runnable == 1);
    const testing::Foreign root(image.root());
    const auto node = root->find("etc/hosts");
    BOOST_REQUIRE(node != SG_NO_NODE);
    std::string bytes(20, '\0');
    BOOST_TEST(root->read(node, 0, bytes.data(), 20) == 20u);
    BOOST_TEST(bytes == "127.0.0.1 localhost\n");
    const auto plan = image.mount_plan();
    BOOST_TEST(std::string(plan.type) == "squashfs");
    BOOST_TEST(plan.offset == 32768u);
    BOOST_TEST(plan.size % 4096 == 0u);
    BOOST_TEST(plan.writable == 0);
    BOOST_TEST(plan.path[0] == '/');
    if (::system("unsquashfs -version >/dev/null 2>&1") == 0 || ::system("command -v unsquashfs >/dev/null 2>&1") == 0)
        BOOST_TEST(::system(("unsquashfs -o 32768 -ll " + (folder / "x.sif") + " >/dev/null").c_str()) == 0);
}

BOOST_AUTO_TEST_CASE(an_image_that_was_not_finished_is_no_sif) {
    const testing::TemporaryFile file;
    {
        sif::SifWriter writer(spec_of(file.fd()), Host());
        writer.part("deffile", "", "text");
        testing::BytesStream data("x");
        writer.content("x", 1, data, Host());
    }
    BOOST_TEST(message_of([&] {
                   sif::Container::parse(sif::File(::dup(file.fd())), "x.sif", file.size());
               }).find("no SIF") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_a_sif_cannot_hold_is_refused) {
    const testing::TemporaryFile file;
    auto spec = spec_of(file.fd());
    spec.arch = "pdp11";
    BOOST_TEST(message_of([&] { sif::SifWriter(spec, Host()); }).find("'pdp11' is no architecture") !=
               std::string::npos);
    spec = spec_of(file.fd());
    spec.compress = "rar";
    BOOST_TEST((code_of([&] { sif::SifWriter(spec, Host()); }) == Code::invalid));
    sif::SifWriter writer(spec_of(file.fd()), Host());
    BOOST_TEST((code_of([&] { writer.part("partition", "x", ""); }) == Code::unsupported));
    BOOST_TEST((code_of([&] { writer.part("what", "x", ""); }) == Code::unsupported));
}

BOOST_AUTO_TEST_CASE(an_empty_container_is_the_reference_librarys_but_for_the_launch_script) {
    const testing::TemporaryFile file;
    auto spec = spec_of(file.fd(), INT64_MIN);
    std::memset(spec.uuid, 0, 16);
    sif::SifFormat().create_empty(spec);
    const auto data = test_data();
    if (!data) return;
    std::string ours = file.bytes();
    BOOST_TEST(ours.substr(0, 31) == "#!/usr/bin/env run-singularity\n");
    std::fill_n(ours.begin(), 32, '\0');
    BOOST_TEST((ours == read_file(*data + "/sif/images/empty.sif")));
}

BOOST_AUTO_TEST_SUITE_END()
