// The bytes of headers and descriptors, and what a signature covers of them (apptainer/sif, pkg/sif and pkg/integrity).
#include "sif/layout.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "support.hpp"

using namespace sif;
using sif_test::hex;
using sif_test::sha256;

namespace {

std::string unhex(std::string_view text) {
    std::string out;
    for (size_t i = 0; i + 1 < text.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
    return out;
}

std::span<const uint8_t> bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

template <size_t N>
std::string text(const std::array<uint8_t, N>& from) {
    return {reinterpret_cast<const char*>(from.data()), N};
}

const std::string vector_header = unhex(
    "0000000000000000000000000000000000000000000000000000000000000000"
    "5349465f4d414749430030310030310000000000000000000000000000000000"
    "00096e88f1ffffff00096e88f1ffffff2d000000000000003000000000000000"
    "0010000000000000b06d000000000000b07d0000000000006826000000000000");

Descriptor vector_descriptor() {
    Descriptor d;
    d.type = 0x4004, d.used = 1, d.id = 1, d.group = group_mask | 1;
    d.offset = 32768, d.size = 4, d.padded_size = 596, d.created = d.modified = unset_time;
    d.set_extra_number(0, fs::raw), d.set_extra_number(4, part::system);
    d.extra[8] = '0', d.extra[9] = '1';
    return d;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(layout)

BOOST_AUTO_TEST_CASE(the_header_of_the_test_vector_is_read_and_written_as_it_is) {
    const Header h = decode_header(bytes(vector_header));
    BOOST_TEST(h.created == unset_time);
    BOOST_TEST(h.free == 45);
    BOOST_TEST(h.total == 48);
    BOOST_TEST(h.table_offset == 4096);
    BOOST_TEST(h.table_size == 28080);
    BOOST_TEST(h.data_offset == 32176);
    BOOST_TEST(h.data_size == 9832);
    BOOST_TEST(arch_name({h.arch.data(), 3}) == "386");
    BOOST_TEST(text(encode(h)) == vector_header);
    BOOST_TEST(sha256(covered_bytes(h)) == "635fa0a14a8ef0c0351ed3e985799ed1d4f75ce973dea3cc76c99710795cc3f1");
}

BOOST_AUTO_TEST_CASE(the_descriptor_of_the_test_vector_is_read_and_written_as_it_is) {
    const std::string begin = unhex(
        "044000000101000000010000f00000000000800000000000000400000000000000540200000000000000096e88f1ffffff00096e88f1ff"
        "ffff00000000000000");
    const std::string raw = text(encode(vector_descriptor()));
    BOOST_TEST(raw.size() == descriptor_bytes);
    BOOST_TEST(hex(raw.substr(0, begin.size())) == hex(begin));
    BOOST_TEST(hex(raw.substr(201, 11)) == "0400000001000000303100");
    BOOST_TEST(text(encode(decode_descriptor(bytes(raw)))) == raw);
    BOOST_TEST(sha256(covered_bytes(vector_descriptor(), 0)) ==
               "3634ad01db0dd5482ecf685267b53d6201690438ca27c3d7ea91c971a1f41f92");
    Descriptor second = vector_descriptor();
    second.size = 4096;
    second.set_extra_number(0, fs::squashfs), second.set_extra_number(4, part::primary);
    BOOST_TEST(sha256(covered_bytes(second, 1)) == "04b5f87c9692a54f80d10fb6af00c779763aeca29d610348854bd97cd8bf66fd");
}

BOOST_AUTO_TEST_CASE(a_fresh_header_describes_an_empty_container) {
    const std::array<uint8_t, 16> uuid{0x3f, 0xa8, 0x02, 0xcc};
    const Header h = fresh_header(7, uuid);
    BOOST_TEST(std::string(h.launch.data()) == "#!/usr/bin/env run-singularity\n");
    BOOST_TEST(h.launch[31] == '\0');
    BOOST_TEST(h.free == 48);
    BOOST_TEST(h.data_offset == 32176);
    BOOST_TEST(h.modified == 7);
    BOOST_TEST(std::memcmp(h.arch.data(), "00", 3) == 0);
    BOOST_TEST(uuid_text(h.uuid) == "3fa802cc-0000-0000-0000-000000000000");
}

BOOST_AUTO_TEST_CASE(architectures_have_the_codes_of_the_table) {
    const char* names[] = {"386",    "amd64",  "arm",      "arm64", "ppc64",   "ppc64le", "mips",
                           "mipsle", "mips64", "mips64le", "s390x", "riscv64", "loong64"};
    int number = 1;
    for (const char* name : names) {
        const auto code = arch_code(name);
        BOOST_REQUIRE(code.has_value());
        BOOST_TEST(std::stoi(std::string(code->data(), 2)) == number++);
        BOOST_TEST(arch_name({code->data(), 3}) == name);
    }
    BOOST_TEST(!arch_code("unknown"));
    BOOST_TEST(!arch_code("x86_64"));
    BOOST_TEST(arch_name(std::string_view("00\0", 3)) == "unknown");
    BOOST_TEST(arch_name("99") == "unknown");
    BOOST_TEST(arch_name("\xff\xff") == "unknown");
    BOOST_TEST(arch_name("") == "unknown");
}

BOOST_AUTO_TEST_CASE(numbers_have_names_both_ways) {
    BOOST_TEST(type_word(0x4004) == "partition");
    BOOST_TEST(type_word(1) == "unknown");
    BOOST_TEST(*type_value("oci-blob") == 0x400B);
    BOOST_TEST(fs_text(6) == "Gocryptfs squashfs");
    BOOST_TEST(fs_text(77) == "Unknown");
    BOOST_TEST(*fs_value("ext3") == 2);
    BOOST_TEST(*fs_value("2") == 2);
    BOOST_TEST(*part_value("*System") == part::primary);
    BOOST_TEST(*part_value("primary") == part::primary);
    BOOST_TEST(*hash_value("sha256") == 1);
    BOOST_TEST(*message_value("rsa-oaep") == 0x200);
    BOOST_TEST(*sbom_value("SPDX-JSON") == 4);
    BOOST_TEST(!format_value("x509"));
    BOOST_TEST(!fs_value("Unknown"));
}

BOOST_AUTO_TEST_CASE(a_name_may_fill_its_field) {
    Descriptor d;
    d.name.fill('n');
    BOOST_TEST(d.name_text() == std::string(128, 'n'));
}

// The reference library's own test: one good value and, in each file, one member changed.
BOOST_AUTO_TEST_CASE(the_covered_bytes_equal_the_golden_ones) {
    const auto data = sif_test::test_data();
    if (!data) return;
    const std::string folder = *data + "/sif/integrity-golden/TestDescriptor_GetIntegrityReader/";
    const auto read = [&](const std::string& name) { return sif_test::read_file(folder + name + ".golden"); };
    for (const char* name : {"DataType", "Used", "ID", "GroupID", "LinkedID", "Offset", "Size", "SizeWithPadding",
                             "CreatedAt", "ModifiedAt", "UID", "GID", "Name", "Extra", "RelativeID"}) {
        const std::string golden = read(name);
        BOOST_REQUIRE(golden.size() == 557);
        // Put the covered members where a descriptor has them and nonsense into the others.
        std::string raw(descriptor_bytes, '\x5a');
        raw.replace(0, 5, golden, 0, 5);        // type, used
        raw.replace(13, 4, golden, 9, 4);       // link
        raw.replace(25, 8, golden, 13, 8);      // size
        raw.replace(41, 8, golden, 21, 8);      // created
        raw.replace(57, 528, golden, 29, 528);  // uid, gid, name, extra
        const auto relative = static_cast<uint32_t>(static_cast<unsigned char>(golden[5]));
        BOOST_TEST(covered_bytes(decode_descriptor(bytes(raw)), relative) == golden, name);
    }
    // Members that are not covered change nothing.
    for (const char* name : {"GroupID", "Offset", "SizeWithPadding", "ModifiedAt"})
        BOOST_TEST(read(name) == read("ID"), name);

    const std::string header_folder = *data + "/sif/integrity-golden/TestHeader_GetIntegrityReader/";
    for (const char* name :
         {"Arch", "CreatedAt", "DataOffset", "DataSize", "DescriptorsFree", "DescriptorsOffset", "DescriptorsSize",
          "DescriptorsTotal", "ID", "LaunchScript", "Magic", "ModifiedAt", "Version"}) {
        const std::string golden = sif_test::read_file(header_folder + name + ".golden");
        BOOST_REQUIRE(golden.size() == 61);
        std::string raw(header_bytes, '\x5a');
        raw.replace(0, 45, golden, 0, 45);
        raw.replace(48, 16, golden, 45, 16);
        BOOST_TEST(covered_bytes(decode_header(bytes(raw))) == golden, name);
    }
}

BOOST_AUTO_TEST_SUITE_END()
