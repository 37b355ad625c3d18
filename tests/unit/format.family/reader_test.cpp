// SPDX-License-Identifier: BSD-3-Clause
// Damaged, foreign and hostile images; many threads on one reader; images of other projects.
#include "support.hpp"
#include "walk.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

using namespace testing;
using singularity::Code;
using squashfs::parse_compression;

namespace {

class MemoryFile {
public:
    explicit MemoryFile(const std::string& bytes) : fd_(memfd_create("image", MFD_CLOEXEC)) { set(bytes); }
    ~MemoryFile() { close(fd_); }
    void set(const std::string& bytes) {
        BOOST_REQUIRE_EQUAL(ftruncate(fd_, 0), 0);
        BOOST_REQUIRE_EQUAL(pwrite(fd_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }
    int fd() const { return fd_; }

private:
    int fd_;
};

// A little of everything.
std::string small_image(const char* compression, uint32_t block_size = 4096) {
    auto options = parse_compression(compression);
    options.block_size = block_size;
    return written(options, 1, [](auto& writer, MemoryTree& tree) {
               tree.add("usr", 040755).xattrs = {{"user.a", std::string(300, 'x')}};
               for (uint32_t i = 0; i < 60; ++i) {
                   const std::string bytes = i % 3 ? text(i, i * 211 + 1) : noise(i, i * 101 + 1);
                   tree.file("usr/file" + std::to_string(i), bytes.size(), store(writer, bytes));
               }
               tree.add("usr/link", 0120777).target = "file1";
               tree.add("usr/pipe", 010644).xattrs = {{"user.a", std::string(300, 'x')}, {"security.b", "c"}};
               tree.add("usr/dev", 020644).attr.major = 5;
               tree.link("hard", "usr/file7");
               std::string path = "d";
               for (int i = 0; i < 10; ++i) {
                   tree.add(path, 040755);
                   path += "/d";
               }
               const std::string holes = std::string(20000, '\0') + "x" + std::string(20000, '\0');
               tree.file("holes", holes.size(), store(writer, holes));
           }).bytes();
}

// Opens and walks; anything but an Error is a failure of the test (or a crash).
bool opens(const MemoryFile& file, uint64_t size) {
    try {
        const auto reader = squashfs::open_squashfs(file.fd(), 0, size);
        Walk(*reader).all();
        return true;
    } catch (const singularity::Error& e) {
        BOOST_TEST(!e.message().empty());
        return false;
    }
}

std::string read_path(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_no_squashfs_is_said_to_be_none) {
    const auto of = [](const std::string& bytes) {
        const MemoryFile file(bytes);
        return failure([&] { squashfs::open_squashfs(file.fd(), 0, bytes.size()); });
    };
    BOOST_TEST(contains(of("").second, "0 bytes"));
    BOOST_TEST(contains(of("hsqs").second, "4 bytes"));
    BOOST_TEST(contains(of(std::string(4096, 'x')).second, "no squashfs image"));
    std::string image = small_image("zstd");
    image[28] = 3, image[30] = 1;
    const auto version = of(image);
    BOOST_TEST((version.first == Code::unsupported));
    BOOST_TEST(contains(version.second, "version 3.1"), version.second);
    std::reverse(image.begin(), image.begin() + 4);
    BOOST_TEST(contains(of(image).second, "big-endian"));
    image = small_image("zstd");
    const auto cut = of(image.substr(0, image.size() / 2));
    BOOST_TEST((cut.first == Code::corrupt));
    BOOST_TEST(contains(cut.second, "cut short"), cut.second);
    image[20] = 9;
    BOOST_TEST(contains(of(image).second, "unknown compressor 9"));
}

BOOST_AUTO_TEST_CASE(a_reader_knows_whether_any_node_has_extended_attributes) {
    const auto any = [](const std::string& image) {
        const MemoryFile file(image);
        const auto reader = squashfs::open_squashfs(file.fd(), 0, image.size());
        singularity::detail::RootBox box{reader.get()};
        const auto visit = [](void*, const char*, const void*, uint64_t) -> int32_t { return 0; };
        return singularity::detail::root_table(false)->xattrs(reinterpret_cast<sg_root*>(&box), SG_NO_NODE, visit, nullptr, nullptr) != SG_OK;
    };
    BOOST_TEST(any(small_image("zstd")));
    const auto none = written(parse_compression("zstd"), 1, [](auto& writer, MemoryTree& tree) { tree.file("f", 3, store(writer, "abc")); });
    BOOST_TEST(!any(none.bytes()));
}

BOOST_AUTO_TEST_CASE(a_file_that_shrinks_is_an_error_and_no_signal) {
    const std::string image = small_image("gzip");
    for (size_t size = 0; size < image.size(); size += 97) {
        MemoryFile file(image);
        const auto reader = squashfs::open_squashfs(file.fd(), 0, image.size());
        file.set(image.substr(0, size));
        Walk walk(*reader);
        walk.all();
        BOOST_TEST((walk.errors > 0 || size > image.size() / 2));
    }
}

BOOST_AUTO_TEST_CASE(every_flipped_byte_is_survived) {
    for (const char* compression : {"zstd", "gzip", "lz4", "xz"}) {
        const std::string image = small_image(compression);
        MemoryFile file(image);
        BOOST_TEST(opens(file, image.size()));
        uint64_t x = 4711;
        // The super block and the tables at the end are where most harm can be done.
        for (int round = 0; round < 300; ++round) {
            std::string damaged = image;
            const int flips = 1 + round % 3;
            for (int k = 0; k < flips; ++k) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                const size_t at = round % 4 == 0 ? (x >> 33) % 96 : round % 4 == 1 ? (x >> 33) % image.size() : image.size() - 1 - (x >> 33) % 6000;
                damaged[at] = round % 5 == 0 ? static_cast<char>(0xff) : static_cast<char>(damaged[at] ^ (1 << (x >> 20) % 8));
            }
            file.set(damaged);
            opens(file, damaged.size());
        }
    }
}

BOOST_AUTO_TEST_CASE(damaged_metadata_that_is_not_compressed_is_survived) {
    // With gzip almost every flip ends in the decompressor; raw tables reach the checks behind it.
    if (!have_tool("mksquashfs")) {
        BOOST_TEST_MESSAGE("skipped: there is no mksquashfs on this machine");
        return;
    }
    const TemporaryDirectory work;
    for (int i = 0; i < 40; ++i) std::ofstream(work.path() + "/f" + std::to_string(i)) << text(static_cast<uint32_t>(i), static_cast<size_t>(i) * 700);
    (void)!symlink("f1", (work.path() + "/link").c_str());
    const std::string path = work.path() + ".sqfs";
    BOOST_REQUIRE_EQUAL(run("mksquashfs '" + work.path() + "' '" + path + "' -no-progress -b 4096 -noI -noId -noD -noF -noX"), 0);
    const std::string image = read_path(path);
    unlink(path.c_str());
    MemoryFile file(image);
    BOOST_TEST(opens(file, image.size()));
    const auto super = squashfs::read_super_block(file.fd(), 0, image.size());
    uint64_t x = 99;
    size_t refused = 0;
    for (int round = 0; round < 1500; ++round) {
        std::string damaged = image;
        x = x * 6364136223846793005u + 1442695040888963407u;
        const size_t at = super.inode_table + (x >> 33) % (super.bytes_used - super.inode_table);
        if (round % 2)
            damaged[at] = static_cast<char>(0xff);
        else
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << (x >> 20) % 8));
        file.set(damaged);
        refused += !opens(file, damaged.size());
    }
    BOOST_TEST(refused > 0u);
}

BOOST_AUTO_TEST_CASE(a_node_that_does_not_exist_is_not_found_or_damage) {
    const std::string image = small_image("zstd");
    const MemoryFile file(image);
    const auto reader = squashfs::open_squashfs(file.fd(), 0, image.size());
    BOOST_TEST((failure([&] { reader->stat(UINT64_MAX); }).first == Code::not_found));
    BOOST_TEST((failure([&] { reader->stat(uint64_t{1} << 40); }).first == Code::not_found));
    for (uint64_t node = 0; node < 9000; ++node) {
        try {
            reader->stat(node);
        } catch (const singularity::Error& e) {
            BOOST_TEST((e.code() == Code::corrupt || e.code() == Code::not_found));
        }
    }
    const uint64_t file_node = reader->lookup(reader->lookup(reader->root(), "usr"), "file1");
    BOOST_TEST((failure([&] { reader->lookup(file_node, "x"); }).first == Code::invalid));
    BOOST_TEST((failure([&] { reader->link_target(file_node); }).first == Code::invalid));
    char c = 0;
    BOOST_TEST((failure([&] { reader->read(reader->root(), 0, &c, 1); }).first == Code::invalid));
}

BOOST_AUTO_TEST_CASE(many_threads_read_one_image) {
    std::map<std::string, std::string> wanted;
    const auto w = written({}, 2, [&](auto& writer, MemoryTree& tree) {
        for (uint32_t i = 0; i < 200; ++i) {
            const std::string name = "f" + std::to_string(i);
            wanted[name] = text(i, i * 2500 + 1);
            tree.file(name, wanted[name].size(), store(writer, wanted[name]));
        }
    });
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            uint64_t x = t + 1;
            for (int i = 0; i < 400; ++i) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                const auto& [name, bytes] = *std::next(wanted.begin(), static_cast<long>((x >> 33) % wanted.size()));
                const uint64_t node = w.reader->lookup(w.reader->root(), name), at = (x >> 13) % bytes.size();
                std::string part(50000, '?');
                part.resize(w.reader->read(node, at, part.data(), part.size()));
                if (part != bytes.substr(at, 50000) || w.reader->stat(node).size != bytes.size()) ++wrong;
                const auto slice = w.reader->block(node, at);
                if (slice.text() != std::string_view(bytes).substr(at, slice.size())) ++wrong;
            }
        });
    for (auto& t : threads) t.join();
    BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(more_directories_and_blocks_than_the_caches_hold_come_out_right) {
    // 100 directories of 2,000 entries with 60 byte names need more than the cache of directories.
    const auto w = written({}, 2, [&](auto&, MemoryTree& tree) {
        for (int d = 0; d < 100; ++d) {
            tree.add("d" + std::to_string(d), 040755);
            for (int i = 0; i < 2000; ++i) tree.add("d" + std::to_string(d) + "/" + std::string(55, 'n') + std::to_string(10000 + i), 010644);
        }
    });
    for (int round = 0; round < 2; ++round)
        for (int d = 0; d < 100; ++d) {
            size_t seen = 0;
            (*w).list((*w).find("d" + std::to_string(d)), [&](std::string_view, uint64_t node, uint32_t) {
                if (seen % 100 == 0) BOOST_TEST((*w).stat(node).mode == 010644u);
                return ++seen, true;
            });
            BOOST_TEST(seen == 2000u);
        }
}

BOOST_AUTO_TEST_CASE(images_of_other_projects_are_read_or_refused_with_the_reason) {
    const char* data = std::getenv("SINGULARITY_TEST_DATA");
    if (!data || !*data) {
        BOOST_TEST_MESSAGE("skipped: SINGULARITY_TEST_DATA is not set");
        return;
    }
    const auto at = [&](const std::string& name, uint64_t offset, const char* refusal) {
        BOOST_TEST_CONTEXT(name) {
            const int fd = open((std::string(data) + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
            BOOST_REQUIRE(fd >= 0);
            const uint64_t size = static_cast<uint64_t>(lseek(fd, 0, SEEK_END)) - offset;
            if (refusal) {
                const auto [code, message] = failure([&] { squashfs::open_squashfs(fd, offset, size); });
                BOOST_TEST((code == Code::unsupported));
                BOOST_TEST(contains(message, refusal), message);
            } else {
                const auto reader = squashfs::open_squashfs(fd, offset, size);
                Walk walk(*reader);
                walk.all();
                BOOST_TEST(walk.errors == 0u);
                BOOST_TEST(walk.seen.size() > 0u);
            }
            close(fd);
        }
    };
    at("squashfs/testdata/squashfs.v4", 0, nullptr);
    at("squashfs/testdata/squashfs.v3", 0, "version 3.");
    at("squashfs/testdata/squashfs.lzo", 0, "lzo");
    at("squashfs/tar-walker.sqfs", 0, nullptr);
    at("sif-field/hello.simg", 31, nullptr);
    // SIFs: partitions start at a multiple of 4 KiB.
    for (const char* name : {"sif-field/exit_37.sif.X86_64", "sif-field/exit_37.sif.AARCH64", "sif-field/fifo.sif", "sif/images/two-groups.sif"}) {
        const std::string bytes = read_path(std::string(data) + "/" + name);
        size_t found = 0;
        for (size_t i = 0; i + 96 < bytes.size(); i += 4096)
            if (bytes.compare(i, 4, "hsqs") == 0) {
                at(name, i, nullptr);
                ++found;
            }
        BOOST_TEST(found > 0u, name);
    }
}
