// SPDX-License-Identifier: BSD-3-Clause
/*
 * Other people's tools agree: images of mksquashfs with every compressor and option are read whole; unsquashfs and the
 * kernel accept ours. Each is skipped with a message where the tool or the right is missing.
 */
#include "support.hpp"

#include <fstream>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

using namespace testing;
using singularity::Host;
using squashfs::parse_compression;

namespace {

bool missing(const char* tool) {
    if (have_tool(tool)) return false;
    BOOST_TEST_MESSAGE("skipped: there is no " << tool << " on this machine");
    return true;
}

void put(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

// A directory with every kind of file that this user may make.
void furnish(const std::string& d) {
    const bool root = geteuid() == 0;
    put(d + "/empty", "");
    put(d + "/one", "1");
    put(d + "/text", text(1, 1000000));
    put(d + "/noise", noise(2, 400000));
    put(d + "/exact", text(3, 131072));
    put(d + "/zeros", std::string(500000, '\0'));
    {
        const int fd = open((d + "/sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        BOOST_REQUIRE(fd >= 0);
        BOOST_REQUIRE_EQUAL(pwrite(fd, "end", 3, 3000000), 3);
        BOOST_REQUIRE_EQUAL(pwrite(fd, "begin", 5, 0), 5);
        close(fd);
    }
    mkdir((d + "/many").c_str(), 0700);
    for (uint32_t i = 0; i < 500; ++i) put(d + "/many/file-with-a-longer-name-" + std::to_string(i), text(i, i * 3));
    mkdir((d + "/deep").c_str(), 0755);
    std::string path = d + "/deep";
    for (int i = 0; i < 40; ++i) mkdir((path += "/level" + std::to_string(i)).c_str(), 0755);
    put(path + "/leaf", "leaf");
    (void)!symlink("../text", (d + "/many/link").c_str());
    (void)!symlink(std::string(300, 'x').c_str(), (d + "/long-link").c_str());
    (void)!link((d + "/text").c_str(), (d + "/many/hard").c_str());
    mkfifo((d + "/pipe").c_str(), 0600);
    put(d + "/\xc3\xa4 \xff\n", "odd name");
    chmod((d + "/one").c_str(), 04755);
    setxattr((d + "/text").c_str(), "user.colour", "blue", 4, 0);
    setxattr((d + "/many").c_str(), "user.large", std::string(2000, 'v').data(), 2000, 0);
    setxattr((d + "/one").c_str(), "user.large", std::string(2000, 'v').data(), 2000, 0);
    if (!root) return;
    (void)!mknod((d + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3));
    (void)!mknod((d + "/disk").c_str(), S_IFBLK | 0660, makedev(259, 300));
    (void)!mknod((d + "/socket").c_str(), S_IFSOCK | 0700, 0);
    (void)!lchown((d + "/long-link").c_str(), 70000, 80000);
    (void)!chown((d + "/many").c_str(), 1000, 1000);
    setxattr((d + "/exact").c_str(), "trusted.overlay.opaque", "y", 1, 0);
}

std::unique_ptr<singularity::StoredRoot> open_path(const std::string& path, int& fd) {
    fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st {};
    BOOST_REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
    return squashfs::open_squashfs(fd, 0, static_cast<uint64_t>(st.st_size));
}

// Our image of a directory, in a file with a name.
std::string write_image(const std::string& from, const std::string& to, const char* compression) {
    const int fd = open(to.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    BOOST_REQUIRE(fd >= 0);
    squashfs::SquashfsWriter writer(fd, 0, parse_compression(compression), 2u);
    MemoryTree tree;
    tree.take(from, [&](const std::string& path, uint64_t size) {
        FileStream stream(path);
        return writer.content(path.c_str(), size, stream, Host());
    });
    writer.finish(tree.foreign(), Host());
    close(fd);
    return to;
}

}  // namespace

BOOST_AUTO_TEST_CASE(images_of_mksquashfs_are_read_whole) {
    if (missing("mksquashfs")) return;
    const TemporaryDirectory source, work;
    furnish(source.path());
    for (const char* options : {"-comp gzip", "-comp gzip -Xcompression-level 1", "-comp zstd", "-comp lz4", "-comp lz4 -Xhc", "-comp xz", "-comp xz -Xbcj x86",
                                "-comp lzma", "-comp zstd -b 4096", "-comp gzip -b 1M", "-comp zstd -noI -noId", "-comp zstd -noD", "-comp zstd -noF",
                                "-comp zstd -noX", "-comp zstd -no-fragments", "-comp zstd -tailends", "-comp zstd -no-duplicates", "-comp zstd -no-exports",
                                "-comp gzip -noI -noD -noF -noX"}) {
        BOOST_TEST_CONTEXT(options) {
            const std::string image = work.path() + "/image";
            unlink(image.c_str());
            const int made = run("mksquashfs '" + source.path() + "' '" + image + "' -no-progress -xattrs -no-recovery " + options);
            if (made != 0) {
                BOOST_TEST_MESSAGE("skipped: mksquashfs cannot " << options);
                continue;
            }
            int fd = -1;
            {
                const auto reader = open_path(image, fd);
                BOOST_TEST(differences(*Foreign(*reader), source.path()) == "");
            }
            close(fd);
        }
    }
}

BOOST_AUTO_TEST_CASE(lzo_is_refused_by_name) {
    if (missing("mksquashfs")) return;
    const TemporaryDirectory work;
    put(work.path() + "/file", text(1, 1000));
    const std::string image = work.path() + "/image";
    if (run("mksquashfs '" + work.path() + "/file' '" + image + "' -no-progress -comp lzo") != 0) {
        BOOST_TEST_MESSAGE("skipped: this mksquashfs has no lzo");
        return;
    }
    int fd = -1;
    const auto [code, message] = failure([&] { open_path(image, fd); });
    close(fd);
    BOOST_TEST((code == singularity::Code::unsupported));
    BOOST_TEST(contains(message, "lzo"), message);
}

BOOST_AUTO_TEST_CASE(our_images_hold_what_the_directory_holds) {
    const TemporaryDirectory source, work;
    furnish(source.path());
    for (const char* compression : {"zstd", "gzip", "lz4", "xz"}) {
        BOOST_TEST_CONTEXT(compression) {
            int fd = -1;
            {
                const auto reader = open_path(write_image(source.path(), work.path() + "/image", compression), fd);
                BOOST_TEST(differences(*Foreign(*reader), source.path()) == "");
            }
            close(fd);
        }
    }
}

BOOST_AUTO_TEST_CASE(unsquashfs_unpacks_our_images) {
    if (missing("unsquashfs")) return;
    const TemporaryDirectory source, work;
    furnish(source.path());
    for (const char* compression : {"zstd", "zstd:19", "gzip", "gzip:9", "gzip:12", "lz4", "xz"}) {
        BOOST_TEST_CONTEXT(compression) {
            const std::string image = write_image(source.path(), work.path() + "/image", compression), out = work.path() + "/out";
            BOOST_TEST(run("unsquashfs -s '" + image + "'") == 0);
            BOOST_TEST(run("unsquashfs -lls '" + image + "'") == 0);
            BOOST_TEST(run("rm -rf '" + out + "'; unsquashfs -no-progress -d '" + out + "' '" + image + "'") == 0);
            int fd = -1;
            {
                const auto reader = open_path(image, fd);
                BOOST_TEST(differences(*Foreign(*reader), out) == "");
            }
            close(fd);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_kernel_mounts_our_images) {
    if (geteuid() != 0) {
        BOOST_TEST_MESSAGE("skipped: mounting needs root");
        return;
    }
    const TemporaryDirectory source, work;
    furnish(source.path());
    const std::string at = work.path() + "/mounted";
    mkdir(at.c_str(), 0755);
    for (const char* compression : {"zstd", "gzip", "lz4", "xz"}) {
        BOOST_TEST_CONTEXT(compression) {
            // A file each: mount(8) takes a loop device that is not cleared yet for the one of a file of the same inode.
            const std::string image = write_image(source.path(), work.path() + "/image-" + compression, compression);
            if (run("mount -t squashfs -o loop,ro '" + image + "' '" + at + "'") != 0) {
                BOOST_TEST_MESSAGE("skipped: no loop device, or a kernel without squashfs " << compression);
                continue;
            }
            int fd = -1;
            {
                const auto reader = open_path(image, fd);
                BOOST_TEST(differences(*Foreign(*reader), at) == "");
            }
            close(fd);
            BOOST_TEST(run("umount '" + at + "'") == 0);
        }
    }
}
