// Which root file system a SIF has, and what is said of one that cannot be used.
#include <boost/test/unit_test.hpp>

#include "memory_tree.hpp"
#include "sif/format.hpp"
#include "support.hpp"

using namespace sif_test;
using singularity::Code;

namespace {

std::string with_fs(int32_t fs) {
    std::string bytes = sample();
    bytes[4096 + 2 * 585 + 201] = static_cast<char>(fs);
    return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(image)

BOOST_AUTO_TEST_CASE(the_magic_makes_it_a_sif) {
    sif::SifFormat format;
    const std::string bytes = sample();
    const auto head = [](const std::string& s) {
        return std::span(reinterpret_cast<const uint8_t*>(s.data()), std::min<size_t>(s.size(), 4096));
    };
    BOOST_TEST(format.probe("x", false, head(bytes)) == 100);
    BOOST_TEST(format.probe("x", true, head(bytes)) == 0);
    BOOST_TEST(format.probe("x", false, head(bytes.substr(0, 41))) == 0);
    BOOST_TEST(format.probe("x", false, head(std::string(4096, 'S'))) == 0);
}

BOOST_AUTO_TEST_CASE(ext3_is_mounted_but_not_read) {
    const Folder folder;
    write_file(folder / "x.sif", with_fs(sif::fs::ext3));
    sif::SifImage image(folder / "x.sif", false);
    BOOST_TEST(std::string(image.mount_plan().type) == "ext3");
    BOOST_TEST(message_of([&] { image.root(); }).find("ext3, which can be mounted by root but not read") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_encrypted_root_is_not_for_the_kernel) {
    const Folder folder;
    for (const int32_t fs : {sif::fs::encrypted_squashfs, sif::fs::gocryptfs_squashfs}) {
        write_file(folder / "x.sif", with_fs(fs));
        sif::SifImage image(folder / "x.sif", false);
        BOOST_TEST(image.info().encrypted == 1);
        BOOST_TEST((code_of([&] { image.mount_plan(); }) == Code::unsupported));
        // Neither holds what it should: a LUKS volume has a key first of all, the other one is a squashfs.
        const std::string why = message_of([&] { image.root(); });
        BOOST_TEST(why.find(fs == sif::fs::encrypted_squashfs ? "is encrypted with a passphrase" : "its root file system: ") != std::string::npos, why);
    }
}

BOOST_AUTO_TEST_CASE(other_root_file_systems_are_named) {
    const Folder folder;
    write_file(folder / "x.sif", with_fs(sif::fs::raw));
    sif::SifImage image(folder / "x.sif", false);
    BOOST_TEST(message_of([&] { image.root(); }).find("of type Raw, which cannot be read") != std::string::npos);
    BOOST_TEST(message_of([&] { image.mount_plan(); }).find("of type Raw, which the kernel cannot mount") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_partition_that_is_no_squashfs_is_corrupt) {
    const Folder folder;
    write_file(folder / "x.sif", sample());
    sif::SifImage image(folder / "x.sif", false);
    BOOST_TEST((code_of([&] { image.root(); }) == Code::corrupt));
    BOOST_TEST(message_of([&] { image.root(); }).find("x.sif, object 3: ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_image_without_a_root_says_what_it_is) {
    const auto data = test_data();
    if (!data) return;
    sif::SifImage oci(*data + "/sif-field/empty.oci.sif", false), empty(*data + "/sif/images/empty.sif", false);
    BOOST_TEST(oci.info().runnable == 0);
    BOOST_TEST(message_of([&] { oci.root(); }) != "");
    BOOST_TEST(message_of([&] { empty.mount_plan(); }).find("has no primary system partition") != std::string::npos);
    sif::SifImage index(*data + "/sif/images/one-object-oci-root-index.sif", false);
    BOOST_TEST(message_of([&] { index.root(); }).find("is an OCI-SIF") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(images_from_the_field_can_be_read) {
    const auto data = test_data();
    if (!data) return;
    const struct {
        const char *file, *arch, *path;
        uint32_t type;
    } cases[] = {{"exit_37.sif.X86_64", "amd64", "exit_37", 0100000},
                 {"exit_37.sif.AARCH64", "arm64", "exit_37", 0100000}};
    for (const auto& c : cases) {
        sif::SifImage image(*data + "/sif-field/" + c.file, false);
        BOOST_TEST(std::string(image.info().arch) == c.arch);
        const testing::Foreign root(image.root());
        const auto node = root->find(c.path);
        BOOST_REQUIRE(node != SG_NO_NODE);
        BOOST_TEST((root->stat(node).mode & 0170000) == c.type);
    }
    sif::SifImage fifo(*data + "/sif-field/fifo.sif", false);
    const testing::Foreign root(fifo.root());
    int fifos = 0;
    root->list(root->root(), [&](std::string_view, uint64_t, uint32_t type) {
        fifos += (type & 0170000) == 0010000;
        return true;
    });
    BOOST_TEST(fifos == 1);
}

BOOST_AUTO_TEST_SUITE_END()
