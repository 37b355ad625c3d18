// A directory read as a root file system: nothing outside of it is ever reached.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <thread>

#include "folder.hpp"
#include "memory_tree.hpp"
#include "sandbox/format.hpp"

using namespace sandbox_test;
using singularity::Code;
using singularity::Error;

namespace {

std::vector<std::string> names(singularity::ForeignRoot root, uint64_t dir) {
    std::vector<std::string> out;
    root.list(dir, [&](std::string_view name, uint64_t, uint32_t) {
        out.emplace_back(name);
        return true;
    });
    return out;
}

std::string content(singularity::ForeignRoot root, uint64_t node) {
    std::string out(static_cast<size_t>(root.stat(node).size), '\0');
    out.resize(static_cast<size_t>(root.read(node, 0, out.data(), out.size())));
    return out;
}

template <class F>
Code code_of(F&& f) {
    try {
        f();
    } catch (const Error& e) {
        return e.code();
    }
    return Code{};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reader)

BOOST_AUTO_TEST_CASE(files_have_their_attributes_and_bytes) {
    const Folder folder;
    std::filesystem::create_directories(folder / "etc/deep");
    write_file(folder / "etc/passwd", "root:x\n");
    ::chmod((folder / "etc/passwd").c_str(), 04640);
    const timespec times[2] = {{100, 0}, {1234567, 5}};
    ::utimensat(AT_FDCWD, (folder / "etc/passwd").c_str(), times, 0);
    BOOST_REQUIRE(::symlink("passwd", (folder / "etc/link").c_str()) == 0);
    BOOST_REQUIRE(::link((folder / "etc/passwd").c_str(), (folder / "etc/hard").c_str()) == 0);
    BOOST_REQUIRE(::mkfifo((folder / "etc/fifo").c_str(), 0644) == 0);
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    BOOST_TEST((names(*root, root->find("etc")) == std::vector<std::string>{"deep", "fifo", "hard", "link", "passwd"}));
    const auto attr = root->stat(root->find("etc/passwd"));
    BOOST_TEST(attr.mode == 0104640u);
    BOOST_TEST(attr.size == 7u);
    BOOST_TEST(attr.nlink == 2u);
    BOOST_TEST(attr.mtime == 1234567);
    BOOST_TEST(attr.uid == 0u);  // as root it is root's, as a user it is shown as root's
    BOOST_TEST(attr.content == SG_NO_CONTENT);
    BOOST_TEST(attr.inode == root->stat(root->find("etc/hard")).inode);
    BOOST_TEST(attr.inode >= 1u);
    BOOST_TEST(root->find("etc/passwd") == root->find("etc/passwd"));
    BOOST_TEST(root->link_target(root->find("etc/link")) == "passwd");
    BOOST_TEST(root->stat(root->find("etc/link")).size == 6u);
    BOOST_TEST((root->stat(root->find("etc/fifo")).mode & S_IFMT) == static_cast<uint32_t>(S_IFIFO));
    BOOST_TEST(content(*root, root->find("etc/passwd")) == "root:x\n");
    BOOST_TEST((code_of([&] { root->read(root->find("etc/link"), 0, nullptr, 0); }) != Code{}));
    BOOST_TEST(
        (code_of([&] { root->read(root->find("etc/fifo"), 0, nullptr, 0); }) == Code::invalid));  // and does not block
    BOOST_TEST((code_of([&] { root->stat(99999); }) == Code::not_found));
}

BOOST_AUTO_TEST_CASE(no_name_and_no_link_leads_out) {
    const Folder outside, folder;
    write_file(outside / "secret", "secret");
    std::filesystem::create_directories(folder / "dir");
    BOOST_REQUIRE(::symlink(outside.path().c_str(), (folder / "out").c_str()) == 0);
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    BOOST_TEST(root->find("out/secret") == SG_NO_NODE);
    for (const char* name : {"..", ".", "", "dir/..", "../x", "/"})
        BOOST_TEST(root->lookup(root->root(), name) == SG_NO_NODE, name);
    BOOST_TEST(root->lookup(root->root(), std::string_view("a\0b", 3)) == SG_NO_NODE);
    BOOST_CHECK_THROW(root->lookup(root->find("out"), "secret"), Error);
}

// Another process exchanges a directory for a link between look-up and use.
BOOST_AUTO_TEST_CASE(a_directory_that_becomes_a_link_is_not_followed) {
    const Folder outside, folder;
    std::filesystem::create_directories(folder / "dir");
    write_file(folder / "dir/file", "inside");
    write_file(outside / "file", "outside");
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    const uint64_t dir = root->find("dir"), file = root->find("dir/file");
    std::filesystem::rename(folder / "dir", folder / "old");
    BOOST_REQUIRE(::symlink(outside.path().c_str(), (folder / "dir").c_str()) == 0);
    BOOST_CHECK_THROW(content(*root, file), Error);
    BOOST_CHECK_THROW(names(*root, dir), Error);
    std::filesystem::remove(folder / "old/file");
    BOOST_REQUIRE(::symlink((outside / "file").c_str(), (folder / "old/file").c_str()) == 0);
    std::filesystem::remove(folder / "dir");
    std::filesystem::rename(folder / "old", folder / "dir");
    char byte;
    BOOST_CHECK_THROW(root->read(file, 0, &byte, 1), Error);
}

BOOST_AUTO_TEST_CASE(holes_stay_holes) {
    const Folder folder;
    const int fd = ::open((folder / "sparse").c_str(), O_RDWR | O_CREAT, 0644);
    BOOST_REQUIRE(::pwrite(fd, "data", 4, 10 << 20) == 4);
    BOOST_REQUIRE(::ftruncate(fd, 1ll << 40) == 0);
    ::close(fd);
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    const uint64_t node = root->find("sparse");
    uint64_t at = 0, bytes = 0, slices = 0;
    for (;;) {
        const auto s = root->block(node, at);
        if (s.size() == 0) break;
        if (!s.is_hole()) bytes += s.size();
        at += s.size();
        BOOST_REQUIRE(++slices < 20);
    }
    BOOST_TEST(at == 1ull << 40);
    BOOST_TEST(bytes <= 2u << 20);
}

BOOST_AUTO_TEST_CASE(a_listing_goes_on_at_its_cursor) {
    const Folder folder;
    for (int i = 0; i < 1000; ++i) write_file(folder / ("f" + std::to_string(i)), "");
    sandbox::DirectoryRoot reader(folder.path());
    std::vector<std::string> all;
    uint64_t cursor = 0;
    struct Arg {
        std::vector<std::string>* all;
        uint64_t cursor;
        int left;
    };
    for (;;) {
        Arg arg{&all, cursor, 7};
        const size_t before = all.size();
        reader.list(
            0, cursor,
            [](void* a, const char* name, uint64_t length, uint64_t, uint32_t, uint64_t next) -> int32_t {
                auto& to = *static_cast<Arg*>(a);
                to.all->emplace_back(name, length);
                to.cursor = next;
                return --to.left == 0;
            },
            &arg);
        if (all.size() == before) break;
        cursor = arg.cursor;
    }
    BOOST_TEST(all.size() == 1000u);
    BOOST_TEST(std::is_sorted(all.begin(), all.end()));
}

BOOST_AUTO_TEST_CASE(attributes_are_listed_by_name_without_the_machines_own) {
    const Folder folder;
    write_file(folder / "f", "");
    BOOST_REQUIRE(::symlink("nowhere", (folder / "l").c_str()) == 0);
    if (::setxattr((folder / "f").c_str(), "user.b", "2", 1, 0) != 0) {
        BOOST_TEST_MESSAGE("skipped: this file system has no extended attributes");
        return;
    }
    ::setxattr((folder / "f").c_str(), "user.a", std::string(5000, 'x').data(), 2000, 0);
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    const auto xattrs = root->xattrs(root->find("f"));
    BOOST_REQUIRE(xattrs.size() == 2u);
    BOOST_TEST(xattrs[0].first == "user.a");
    BOOST_TEST(xattrs[0].second == std::string(2000, 'x'));
    BOOST_TEST(xattrs[1].first == "user.b");
    BOOST_TEST(root->xattrs(root->find("l")).empty());
    BOOST_TEST(root->xattrs(root->root()).empty());
}

BOOST_AUTO_TEST_CASE(paths_longer_than_the_kernel_takes_are_read) {
    const Folder folder;
    const std::string name(200, 'd');
    int at = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 40; ++i) {
        BOOST_REQUIRE(::mkdirat(at, name.c_str(), 0755) == 0);
        const int next = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
        ::close(at);
        at = next;
    }
    ::close(::openat(at, "bottom", O_CREAT | O_WRONLY, 0644));
    ::close(at);
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    uint64_t node = root->root();
    for (int i = 0; i < 40; ++i) {
        node = root->lookup(node, name);
        BOOST_REQUIRE(node != SG_NO_NODE);
    }
    BOOST_TEST((names(*root, node) == std::vector<std::string>{"bottom"}));
    BOOST_TEST(root->stat(root->lookup(node, "bottom")).size == 0u);
}

BOOST_AUTO_TEST_CASE(many_threads_read_at_once) {
    const Folder folder;
    for (int i = 0; i < 50; ++i)
        write_file(folder / std::to_string(i),
                   std::string(static_cast<size_t>(i) * 1000, static_cast<char>('a' + i % 26)));
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i)
                wrong += content(*root, root->find(std::to_string(i))) !=
                         std::string(static_cast<size_t>(i) * 1000, static_cast<char>('a' + i % 26));
        });
    for (auto& t : threads) t.join();
    BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(a_directory_is_an_image_that_can_be_bound) {
    const Folder folder;
    sandbox::SandboxFormat format;
    BOOST_TEST(format.probe(folder.path().c_str(), true, {}) > 0);
    BOOST_TEST(format.probe("x", false, {}) == 0);
    const auto image = format.open(folder.path(), true);
    BOOST_TEST(std::string(image->info().format) == "sandbox");
    BOOST_TEST(image->info().runnable == 1);
    const auto plan = image->mount_plan();
    BOOST_TEST(std::string(plan.type) == "bind");
    BOOST_TEST(std::string(plan.path) == std::filesystem::canonical(folder.path()).string());
    BOOST_TEST(plan.writable == 1);
    BOOST_TEST((code_of([&] { format.open(folder / "absent", false); }) == Code::not_found));
}

BOOST_AUTO_TEST_SUITE_END()
