// What the verb prints for images of the reference library equals what that library's tool prints.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "sif/image.hpp"
#include "sif/listing.hpp"
#include "support.hpp"

using namespace sif_test;

namespace {

// "TwoGroupsSignedPGP" -> "two-groups-signed-pgp": the golden file's name to the image's.
std::string image_name(const std::string& golden) {
    std::string out;
    for (size_t i = 0; i < golden.size(); ++i) {
        const char c = golden[i];
        const bool upper = c >= 'A' && c <= 'Z';
        const bool after_lower = i > 0 && golden[i - 1] >= 'a' && golden[i - 1] <= 'z';
        const bool before_lower = i + 1 < golden.size() && golden[i + 1] >= 'a' && golden[i + 1] <= 'z';
        const bool in_word = i > 0 && !after_lower && !before_lower;
        if (upper && i > 0 && !in_word) out += '-';
        out += static_cast<char>(upper ? c - 'A' + 'a' : c);
    }
    return out + ".sif";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(golden)

BOOST_AUTO_TEST_CASE(list_and_header_equal_every_golden_file) {
    const auto data = test_data();
    if (!data) return;
    int compared = 0;
    for (const std::string verb : {"list", "header"}) {
        const std::string folder =
            *data + "/sif/siftool-golden/testdata/TestApp_" + (verb == "list" ? "List" : "Header");
        for (const auto& golden : std::filesystem::directory_iterator(folder)) {
            const std::string image = *data + "/sif/images/" + image_name(golden.path().stem().string());
            BOOST_TEST_CONTEXT(verb << " " << image) {
                BOOST_REQUIRE(std::filesystem::exists(image));
                const Ran ran = run_sif(verb, {image});
                BOOST_TEST(ran.code == 0);
                BOOST_TEST(ran.out == read_file(golden.path().string()));
                ++compared;
            }
        }
    }
    BOOST_TEST(compared == 38);
}

BOOST_AUTO_TEST_CASE(info_equals_every_golden_file) {
    const auto data = test_data();
    if (!data) return;
    const struct {
        const char *golden, *image, *id;
    } cases[] = {{"CryptMessage", "one-object-crypt-message", "1"},
                 {"DataPartitionEXT3", "two-groups", "3"},
                 {"DataPartitionRaw", "two-groups", "1"},
                 {"DataPartitionSquashFS", "two-groups", "2"},
                 {"DataSignature", "two-groups-signed-pgp", "4"},
                 {"GenericJSON", "one-object-generic-json", "1"},
                 {"OCIBlob", "one-object-oci-blob", "1"},
                 {"OCIRootIndex", "one-object-oci-root-index", "1"},
                 {"SBOM", "one-object-sbom", "1"},
                 {"Time", "one-object-time", "1"}};
    const std::string folder = *data + "/sif/siftool-golden/testdata/TestApp_Info";
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(folder), {}) ==
               static_cast<ptrdiff_t>(std::size(cases)));
    for (const auto& c : cases)
        BOOST_TEST(run_sif("info", {c.id, *data + "/sif/images/" + c.image + ".sif"}).out ==
                       read_file(folder + "/" + c.golden + ".golden"),
                   c.golden);
}

BOOST_AUTO_TEST_CASE(dump_equals_every_golden_file) {
    const auto data = test_data();
    if (!data) return;
    const std::string folder = *data + "/sif/siftool-golden/testdata/TestApp_Dump/";
    BOOST_TEST((run_sif("dump", {"1", *data + "/sif/images/one-group.sif"}).out == read_file(folder + "One.golden")));
    BOOST_TEST((run_sif("dump", {"2", *data + "/sif/images/one-group.sif"}).out == read_file(folder + "Two.golden")));
}

BOOST_AUTO_TEST_CASE(every_sif_of_other_tools_is_accepted) {
    const auto data = test_data();
    if (!data) return;
    int opened = 0;
    for (const std::string folder : {"/sif/images", "/sif-field"})
        for (const auto& entry : std::filesystem::directory_iterator(*data + folder)) {
            const std::string path = entry.path().string();
            if (path.ends_with(".simg")) continue;
            BOOST_TEST_CONTEXT(path) {
                sif::SifImage image(path, false);
                for (const auto& part : image.parts()) {
                    const auto stream = image.read_part(part.id, singularity::Host());
                    BOOST_TEST(all_of(*stream).size() == part.size);
                }
                BOOST_TEST(!image.header().empty());
                ++opened;
            }
        }
    BOOST_TEST(opened == 25);
}

// The message that was signed tells all three kinds of digest (section 8.1).
BOOST_AUTO_TEST_CASE(the_digests_of_a_real_signature_are_found_again) {
    const auto data = test_data();
    if (!data) return;
    for (const auto& [name, group, signature] : {std::tuple{"one-group-signed-pgp", 1u, 3u},
                                                 {"two-groups-signed-pgp", 1u, 4u},
                                                 {"two-groups-signed-pgp", 2u, 5u}}) {
        BOOST_TEST_CONTEXT(name << " group " << group) {
            sif::SifImage image(*data + "/sif/images/" + name + ".sif", false);
            const std::string message = all_of(*image.read_part(signature, singularity::Host()));
            std::vector<singularity::PartedImageFile::Covered> parts;
            std::string expected =
                "{\"version\":1,\"header\":{\"digest\":\"sha256:" + sha256(image.covered(group, parts)) +
                "\"},\"objects\":[";
            for (size_t i = 0; i < parts.size(); ++i) {
                const auto object = image.read_part(parts[i].id, singularity::Host());
                expected += std::string(i ? "," : "") + "{\"relativeId\":" + std::to_string(parts[i].relative_id) +
                            ",\"descriptorDigest\":\"sha256:" + sha256(parts[i].descriptor) +
                            "\",\"objectDigest\":\"sha256:" + sha256(all_of(*object)) + "\"}";
            }
            BOOST_TEST(message.find(expected + "]}") != std::string::npos);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
