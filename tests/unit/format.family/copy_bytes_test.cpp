// Bytes of one image in another one, wherever they lie in both.
#include <fcntl.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <family/output_file.hpp>
#include <string>

namespace {

struct File {
    explicit File(const std::string& content) {
        char name[] = "/var/tmp/copy-bytes.XXXXXX";
        fd = mkstemp(name);
        BOOST_REQUIRE(fd >= 0);
        unlink(name);
        BOOST_REQUIRE(write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    }
    ~File() { close(fd); }
    std::string read(off_t offset, size_t size) const {
        std::string out(size, '\0');
        const ssize_t n = pread(fd, out.data(), size, offset);
        out.resize(n > 0 ? static_cast<size_t>(n) : 0);
        return out;
    }
    int fd;
};

std::string noise(size_t size) {
    std::string out;
    for (uint32_t x = 1; out.size() < size; x = x * 1664525 + 1013904223) out.push_back(static_cast<char>(x >> 24));
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(copy_bytes)

BOOST_AUTO_TEST_CASE(the_same_bytes_arrive_wherever_blocks_begin) {
    const std::string all = noise(64 << 10);
    const File from(all);
    for (const uint64_t source : {0, 1, 4095, 4096, 4097, 8191})
        for (const uint64_t target : {0, 1, 4095, 4096, 4097, 8191})
            for (const uint64_t size : {0, 1, 4095, 4096, 4097, 9000, 40000}) {
                const File to("");
                squashfs::copy_bytes(from.fd, source, to.fd, target, size);
                BOOST_TEST((to.read(static_cast<off_t>(target), size + 1) == all.substr(source, size)),
                           source << " " << target << " " << size);
            }
}

BOOST_AUTO_TEST_CASE(a_source_that_ends_before_is_refused) {
    const File from(noise(10000)), to("");
    for (const uint64_t source : {0, 100, 4096})
        BOOST_CHECK_EXCEPTION(squashfs::copy_bytes(from.fd, source, to.fd, source, 10001 - source), singularity::Error,
                              [](const auto& e) { return e.code() == singularity::Code::corrupt; });
}

BOOST_AUTO_TEST_SUITE_END()
