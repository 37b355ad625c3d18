// SPDX-License-Identifier: BSD-3-Clause
// The plugin as the host sees it: one symbol, tables by name, plain C.
#include <dlfcn.h>
#include <singularity/format.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

const sg_format_v1& format() {
    static const sg_plugin* loaded = [] {
        void* object = dlopen(PLUGIN_OBJECT, RTLD_NOW | RTLD_LOCAL);
        BOOST_REQUIRE_MESSAGE(object, dlerror());
        return reinterpret_cast<const sg_plugin* (*)()>(dlsym(object, "singularity_plugin"))();
    }();
    return *static_cast<const sg_format_v1*>(loaded->table("ext3", "format", 1));
}

struct File {
    std::string path = "/tmp/sg-test-XXXXXX";
    explicit File(const std::vector<char>& bytes) {
        BOOST_REQUIRE(mkstemp(path.data()) >= 0);
        std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    ~File() { std::remove(path.c_str()); }
};

// A super block that says "`blocks` blocks of 1024 << shift bytes", in a file of `size` bytes.
std::vector<char> super_block(size_t size, uint32_t blocks, uint32_t shift) {
    std::vector<char> out(size);
    if (size < 2048) return out;
    std::memcpy(out.data() + 1024 + 4, &blocks, 4);
    std::memcpy(out.data() + 1024 + 24, &shift, 4);
    out[1080] = 0x53, out[1081] = static_cast<char>(0xef);
    return out;
}

int32_t open_status(const std::vector<char>& bytes, std::string& message) {
    const File file(bytes);
    sg_image_file* image = nullptr;
    sg_error err{};
    const int32_t rc = format().open(file.path.c_str(), 0, &image, &err);
    if (rc == SG_OK) format().close(image);
    message = err.message;
    return rc;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_whole_file_system_opens_and_can_be_written_to) {
    const File file(super_block(8192, 8, 0));
    sg_image_file* image = nullptr;
    sg_error err{};
    BOOST_REQUIRE(format().open(file.path.c_str(), 0, &image, &err) == SG_OK);
    sg_mount_plan plan{};
    BOOST_REQUIRE(format().mount_plan(image, &plan, &err) == SG_OK);
    BOOST_TEST(plan.type == "ext3");
    BOOST_TEST(plan.path == file.path);
    BOOST_TEST(plan.writable == 1);
    const sg_root_v1* table = nullptr;
    sg_root* root = nullptr;
    BOOST_TEST(format().root(image, &table, &root, &err) == SG_EUNSUPPORTED);
    format().close(image);
}

BOOST_AUTO_TEST_CASE(what_is_cut_short_or_damaged_is_refused_with_a_reason) {
    std::string message;
    BOOST_TEST(open_status(super_block(8192, 9, 0), message) == SG_ECORRUPT);
    BOOST_TEST(message.find("cut short") != std::string::npos);
    BOOST_TEST(open_status(super_block(8192, 2, 40), message) == SG_ECORRUPT);
    BOOST_TEST(open_status(super_block(1500, 1, 0), message) == SG_ECORRUPT);
    BOOST_TEST(open_status({}, message) == SG_ECORRUPT);
}

BOOST_AUTO_TEST_CASE(two_bytes_are_a_weak_sign) {
    const auto bytes = super_block(4096, 4, 0);
    BOOST_TEST(format().probe("/x", 0, bytes.data(), bytes.size()) == 40);
    BOOST_TEST(format().probe("/x", 1, bytes.data(), bytes.size()) == 0);
    BOOST_TEST(format().probe("/x", 0, bytes.data(), 1080) == 0);
}
