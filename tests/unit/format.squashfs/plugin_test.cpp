// SPDX-License-Identifier: BSD-3-Clause
// The plugin as the host sees it: one symbol, tables by name, plain C.
#include <singularity/format.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using singularity::Code;
using singularity::Error;
using singularity::ForeignRoot;

namespace {

const sg_plugin& plugin() {
    static const sg_plugin* loaded = [] {
        void* object = dlopen(PLUGIN_OBJECT, RTLD_NOW | RTLD_LOCAL);
        if (!object) throw std::runtime_error(dlerror());
        return reinterpret_cast<const sg_plugin* (*)()>(dlsym(object, "singularity_plugin"))();
    }();
    return *loaded;
}

const sg_format_v1& format() { return *static_cast<const sg_format_v1*>(plugin().table("squashfs", "format", 1)); }

struct TemporaryDirectory {
    std::string path = "/tmp/sg-test-XXXXXX";
    TemporaryDirectory() { BOOST_REQUIRE(mkdtemp(path.data())); }
    ~TemporaryDirectory() { (void)!system(("rm -rf '" + path + "'").c_str()); }
};

class Text final : public singularity::Stream {
public:
    explicit Text(std::string text) : text_(std::move(text)) {}
    singularity::Slice next() override {
        if (done_) return {};
        done_ = true;
        return singularity::Slice::borrowed(text_.data(), text_.size());
    }

private:
    std::string text_;
    bool done_ = false;
};

// A root directory with one file "hello".
class OneFile final : public singularity::Root {
public:
    explicit OneFile(uint64_t content, uint64_t size) : content_(content), size_(size) {}
    ForeignRoot foreign() { return {singularity::detail::root_table(false), reinterpret_cast<sg_root*>(&box_)}; }
    uint64_t root() override { return 0; }
    sg_attr stat(uint64_t node) override {
        sg_attr a{};
        a.mode = node == 0 ? 040755 : 0100644;
        a.nlink = 1;
        a.inode = node + 1;
        a.size = node == 0 ? 0 : size_;
        a.content = node == 0 ? SG_NO_CONTENT : content_;
        return a;
    }
    uint64_t lookup(uint64_t, std::string_view name) override { return name == "hello" ? 1 : SG_NO_NODE; }
    void list(uint64_t, uint64_t cursor, sg_visit_entry visit, void* arg) override {
        if (cursor == 0) visit(arg, "hello", 5, 1, 0100000, 1);
    }
    std::string link_target(uint64_t) override { return {}; }
    void xattrs(uint64_t, sg_visit_xattr, void*) override {}
    uint64_t read(uint64_t, uint64_t, void*, uint64_t) override { return 0; }
    singularity::Slice block(uint64_t, uint64_t) override { return {}; }
    void totals(uint64_t&, uint64_t&, uint32_t&) override {}

private:
    uint64_t content_, size_;
    singularity::detail::RootBox box_{this};
};

Error failure(const std::function<int32_t(sg_error*)>& f) {
    try {
        singularity::check(f);
    } catch (const Error& e) {
        return e;
    }
    BOOST_FAIL("nothing failed");
    return Error(Code::internal, "");
}

void make(const std::string& path, const char* compress, const std::string& bytes) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    BOOST_REQUIRE(fd >= 0);
    sg_create what{};
    what.fd = fd;
    what.path = path.c_str();
    what.arch = "amd64";
    what.compress = compress;
    what.time = 1700000000;
    const sg_writer_v1* table = nullptr;
    sg_writer* writer = nullptr;
    singularity::check([&](sg_error* e) { return format().create(&what, nullptr, &table, &writer, e); });
    BOOST_TEST((failure([&](sg_error* e) { return table->part(writer, "labels", "labels", "{}", 2, e); }).code() == Code::unsupported));
    uint64_t id = 0;
    singularity::check([&](sg_error* e) {
        return table->content(writer, "hello", bytes.size(), singularity::to_c(std::make_unique<Text>(bytes)), nullptr, &id, e);
    });
    OneFile tree(id, bytes.size());
    singularity::check([&](sg_error* e) { return table->finish(writer, tree.foreign().table(), tree.foreign().handle(), nullptr, e); });
    table->close(writer);
    close(fd);
}

struct Opened {
    sg_image_file* file = nullptr;
    explicit Opened(const std::string& path) {
        singularity::check([&](sg_error* e) { return format().open(path.c_str(), 0, &file, e); });
    }
    ~Opened() { format().close(file); }
    Opened(const Opened&) = delete;
    ForeignRoot root() const {
        const sg_root_v1* table = nullptr;
        sg_root* root = nullptr;
        singularity::check([&](sg_error* e) { return format().root(file, &table, &root, e); });
        return {table, root};
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_object_has_the_tables_that_the_manifest_promises) {
    BOOST_TEST(plugin().magic == SG_PLUGIN_MAGIC);
    BOOST_TEST(plugin().abi == SG_ABI_VERSION);
    BOOST_TEST(std::string(plugin().name) == "squashfs");
    BOOST_TEST(plugin().table("squashfs", "format", 1) != nullptr);
    BOOST_TEST(plugin().table("squashfs", "format", 2) == nullptr);
    BOOST_TEST(plugin().table("squashfs", "parts", 1) == nullptr);
}

BOOST_AUTO_TEST_CASE(an_image_is_made_opened_and_read) {
    const TemporaryDirectory directory;
    const std::string path = directory.path + "/image";
    for (const char* compress : {"", "zstd:5", "gzip", "lz4", "xz"}) {
        make(path, compress, "hello, world");
        const Opened image(path);
        sg_image_info info{};
        singularity::check([&](sg_error* e) { return format().info(image.file, &info, e); });
        BOOST_TEST(std::string(info.format) == "squashfs");
        BOOST_TEST(info.runnable == 1);
        const ForeignRoot root = image.root();
        char text[20] = {};
        BOOST_TEST(root.read(root.find("hello"), 0, text, sizeof text) == 12u);
        BOOST_TEST(std::string(text) == "hello, world");
        BOOST_TEST(root.table()->stored != nullptr);
        sg_mount_plan plan{};
        singularity::check([&](sg_error* e) { return format().mount_plan(image.file, &plan, e); });
        BOOST_TEST(std::string(plan.type) == "squashfs");
        BOOST_TEST(std::string(plan.path) == path);
        BOOST_TEST(plan.offset == 0u);
        struct stat st {};
        BOOST_REQUIRE_EQUAL(stat(path.c_str(), &st), 0);
        BOOST_TEST(plan.size == static_cast<uint64_t>(st.st_size));
        BOOST_TEST(plan.writable == 0);
    }
}

BOOST_AUTO_TEST_CASE(wrong_files_and_options_are_refused_by_name) {
    const TemporaryDirectory directory;
    const std::string path = directory.path + "/image";
    sg_image_file* file = nullptr;
    const auto open_error = [&](const std::string& p, int32_t writable) {
        return failure([&](sg_error* e) { return format().open(p.c_str(), writable, &file, e); });
    };
    const auto mentions = [](const Error& e, const char* text) { return e.message().find(text) != std::string::npos; };
    BOOST_TEST((open_error(path, 0).code() == Code::not_found));
    BOOST_TEST(mentions(open_error(path, 0), "/image"));
    BOOST_TEST((open_error(directory.path, 0).code() == Code::invalid));
    make(path, "", "x");
    BOOST_TEST((open_error(path, 1).code() == Code::unsupported));
    BOOST_REQUIRE_EQUAL(truncate(path.c_str(), 200), 0);
    BOOST_TEST((open_error(path, 0).code() == Code::corrupt));
    BOOST_TEST(mentions(open_error(path, 0), "/image: damaged squashfs image: it is cut short"));
    sg_create what{};
    what.fd = -1;
    what.compress = "brotli";
    const sg_writer_v1* table = nullptr;
    sg_writer* writer = nullptr;
    const Error wrong = failure([&](sg_error* e) { return format().create(&what, nullptr, &table, &writer, e); });
    BOOST_TEST((wrong.code() == Code::invalid));
    BOOST_TEST(mentions(wrong, "brotli"));
    BOOST_TEST(wrong.hint().find("zstd") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_file_is_known_by_its_first_bytes) {
    BOOST_TEST(format().probe("x", 0, "hsqs....", 8) > 0);
    BOOST_TEST(format().probe("x", 0, "hsq", 3) == 0);
    BOOST_TEST(format().probe("x", 0, "SIF_MAGIC", 9) == 0);
    BOOST_TEST(format().probe("x", 1, nullptr, 0) == 0);
}

BOOST_AUTO_TEST_CASE(the_object_needs_no_library_but_libc) {
    FILE* p = popen("readelf -d '" PLUGIN_OBJECT "' 2>/dev/null | grep NEEDED", "r");
    BOOST_REQUIRE(p);
    std::string needed;
    for (char line[512]; fgets(line, sizeof line, p);) needed += line;
    pclose(p);
    if (needed.empty()) {
        BOOST_TEST_MESSAGE("skipped: there is no readelf on this machine");
        return;
    }
    for (const char* library : {"libsquashfs", "libzstd", "liblz4", "liblzma", "libdeflate", "libz.", "liblzo", "libcrypto"})
        BOOST_TEST(needed.find(library) == std::string::npos, needed);
}
