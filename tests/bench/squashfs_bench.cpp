// SPDX-License-Identifier: BSD-3-Clause
/*
 * squashfs_bench.cpp: the squashfs writer and reader alone, from a directory of this machine.
 *
 *     squashfs_bench write DIR FILE [COMPRESSION [WORKERS]]   wall and CPU seconds, peak memory, sizes
 *     squashfs_bench read FILE [THREADS]                      opens it, then reads every file once
 *     squashfs_bench adopt FILE OUT                           takes every file as stored
 */
#include "../unit/format.family/memory_tree.hpp"

#include <family/squashfs_reader.hpp>
#include <family/squashfs_writer.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace {

struct Clock {
    std::chrono::steady_clock::time_point wall = std::chrono::steady_clock::now();
    double cpu = used();
    static double used() {
        rusage r{};
        getrusage(RUSAGE_SELF, &r);
        return static_cast<double>(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * static_cast<double>(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    }
    void print(const char* what) const {
        rusage r{};
        getrusage(RUSAGE_SELF, &r);
        std::printf("%-10s wall %.3f s  cpu %.3f s  peak %ld MiB\n", what,
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count(), used() - cpu, r.ru_maxrss / 1024);
    }
};

int open_output(const char* path) {
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) throw std::runtime_error(std::string("cannot write ") + path);
    return fd;
}

int write(const std::string& directory, const char* out, const char* compression, unsigned workers) {
    const int fd = open_output(out);
    const Clock all;
    const singularity::Host host;
    squashfs::SquashfsWriter writer(fd, 0, squashfs::parse_compression(compression), workers);
    testing::MemoryTree tree;
    const Clock contents;
    tree.take(directory, [&](const std::string& path, uint64_t size) {
        testing::FileStream stream(path);
        return writer.content(path.c_str(), size, stream, host);
    });
    contents.print("contents");
    const Clock tables;
    const uint64_t bytes = writer.finish(tree.foreign(), host);
    tables.print("finish");
    all.print("all");
    const auto s = writer.stats();
    std::printf("in %lu  stored %lu  file %lu  blocks %lu  shared %lu\n", s.bytes_in, s.bytes_stored, bytes, s.blocks_compressed, s.files_shared);
    close(fd);
    return 0;
}

void collect(const singularity::ForeignRoot& root, uint64_t dir, std::vector<uint64_t>& files) {
    root.list(dir, [&](std::string_view, uint64_t node, uint32_t type) {
        if (type == S_IFDIR) collect(root, node, files);
        if (type == S_IFREG) files.push_back(node);
        root.stat(node);
        return true;
    });
}

int read(const char* path, unsigned threads) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st {};
    if (fd < 0 || fstat(fd, &st) != 0) throw std::runtime_error(std::string("cannot read ") + path);
    const Clock opening;
    const auto reader = squashfs::open_squashfs(fd, 0, static_cast<uint64_t>(st.st_size));
    opening.print("open");
    const testing::Foreign root(*reader);
    std::vector<uint64_t> files;
    const Clock walking;
    collect(*root, root->root(), files);
    walking.print("walk");
    const Clock reading;
    std::atomic<size_t> next{0};
    std::atomic<uint64_t> bytes{0};
    std::vector<std::thread> all;
    for (unsigned t = 0; t < threads; ++t)
        all.emplace_back([&] {
            std::vector<uint8_t> buffer(size_t{1} << 20);
            for (size_t i; (i = next.fetch_add(16)) < files.size();)
                for (size_t k = i; k < std::min(i + 16, files.size()); ++k)
                    for (uint64_t at = 0;;) {
                        const uint64_t n = reader->read(files[k], at, buffer.data(), buffer.size());
                        at += n;
                        bytes += n;
                        if (n < buffer.size()) break;
                    }
        });
    for (auto& t : all) t.join();
    reading.print("read");
    std::printf("files %zu  bytes %lu\n", files.size(), bytes.load());
    close(fd);
    return 0;
}

int adopt(const char* path, const char* out) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC), to = open_output(out);
    struct stat st {};
    if (fd < 0 || fstat(fd, &st) != 0) throw std::runtime_error(std::string("cannot read ") + path);
    const Clock all;
    const auto reader = squashfs::open_squashfs(fd, 0, static_cast<uint64_t>(st.st_size));
    const testing::Foreign root(*reader);
    std::vector<uint64_t> files;
    collect(*root, root->root(), files);
    squashfs::SquashfsWriter writer(to, 0, squashfs::parse_compression(""), 2u);
    uint64_t taken = 0;
    for (const uint64_t f : files) taken += writer.adopt(*root, f) != SG_NO_CONTENT;
    testing::MemoryTree empty;
    writer.finish(empty.foreign(), singularity::Host());
    all.print("adopt");
    std::printf("files %zu  taken %lu  blocks %lu  bytes %lu\n", files.size(), taken, writer.stats().blocks_adopted, writer.stats().bytes_stored);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::string verb = argc > 1 ? argv[1] : "";
        if (verb == "write" && argc >= 4)
            return write(argv[2], argv[3], argc > 4 ? argv[4] : "", argc > 5 ? static_cast<unsigned>(std::atoi(argv[5])) : std::thread::hardware_concurrency());
        if (verb == "read" && argc >= 3) return read(argv[2], argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1);
        if (verb == "adopt" && argc >= 4) return adopt(argv[2], argv[3]);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    std::fprintf(stderr, "usage: squashfs_bench write DIR FILE [COMPRESSION [WORKERS]] | read FILE [THREADS] | adopt FILE OUT\n");
    return 2;
}
