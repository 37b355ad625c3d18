// Loop devices with the kernel: which of them are shared. Needs root.
#include "family/loop.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <set>

namespace utf = boost::unit_test;
using namespace launcher;

namespace {

struct Image {
    std::string path;
    Image() {
        char name[] = "/tmp/sg-loop-test.XXXXXX";
        Fd file(::mkstemp(name));
        path = name;
        BOOST_REQUIRE(::ftruncate(file.get(), 1 << 20) == 0);
    }
    ~Image() { ::unlink(path.c_str()); }
    // Writes to it until the kernel's clock has moved on since it was last written to.
    void change() const {
        struct stat before, after;
        BOOST_REQUIRE(::stat(path.c_str(), &before) == 0);
        do {
            std::ofstream(path, std::ios::in | std::ios::out) << "changed";
            BOOST_REQUIRE(::stat(path.c_str(), &after) == 0);
        } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec && after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    }
};

// The file behind a device, as the kernel says; "": none.
std::string behind(const std::string& device) {
    std::ifstream file("/sys/block/" + device.substr(5) + "/loop/backing_file");
    std::string text;
    std::getline(file, text);
    return text;
}

boost::test_tools::assertion_result can_attach(utf::test_unit_id) {
    boost::test_tools::assertion_result result(true);
    try {
        const Image image;
        attach_loop(image.path, 0, 0, false);
    } catch (const Error& e) {
        result = false;
        result.message() << "skipped: " << e.message();
    }
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(loop, *utf::precondition(can_attach))

BOOST_AUTO_TEST_CASE(readers_of_the_same_bytes_of_a_file_share_a_device) {
    const Image image, other;
    const LoopDevice first = share_loop(image.path, 4096, 65536);
    BOOST_TEST(share_loop(image.path, 4096, 65536).path == first.path);
    BOOST_TEST(share_loop(image.path, 8192, 65536).path != first.path);
    BOOST_TEST(share_loop(image.path, 4096, 131072).path != first.path);
    BOOST_TEST(share_loop(other.path, 4096, 65536).path != first.path);
    BOOST_TEST(behind(first.path) == image.path);
}

BOOST_AUTO_TEST_CASE(a_device_that_is_not_for_sharing_is_not_shared) {
    const Image image;
    const LoopDevice reader = attach_loop(image.path, 0, 65536, false);
    const LoopDevice writer = attach_loop(image.path, 0, 65536, true);
    const LoopDevice shared = share_loop(image.path, 0, 65536);
    BOOST_TEST(shared.path != reader.path);
    BOOST_TEST(shared.path != writer.path);
}

BOOST_AUTO_TEST_CASE(a_file_that_was_written_to_gets_another_device) {
    const Image image;
    const LoopDevice before = share_loop(image.path, 0, 0);
    image.change();
    BOOST_TEST(share_loop(image.path, 0, 0).path != before.path);
}

BOOST_AUTO_TEST_CASE(a_device_goes_with_its_last_user_and_not_before) {
    const Image image;
    LoopDevice first = share_loop(image.path, 0, 0);
    LoopDevice second = share_loop(image.path, 0, 0);
    const std::string device = first.path;
    first.fd.reset();
    BOOST_TEST(behind(device) == image.path);
    second.fd.reset();
    for (int tries = 0; tries < 6000 && behind(device) == image.path; ++tries) ::usleep(10000);
    BOOST_TEST(behind(device) != image.path);
}

BOOST_AUTO_TEST_CASE(those_that_begin_at_once_share_one_device) {
    const Image image;
    constexpr int count = 16;
    int begin[2], said[2], end[2];
    BOOST_REQUIRE((::pipe(begin) == 0 && ::pipe(said) == 0 && ::pipe(end) == 0));
    for (int i = 0; i < count; ++i) {
        if (::fork() != 0) continue;
        ::close(begin[1]);
        ::close(end[1]);
        char c;
        (void)!::read(begin[0], &c, 1);  // its end, for all at once
        int number = -1;
        try {
            const LoopDevice device = share_loop(image.path, 0, 0);
            number = std::atoi(device.path.c_str() + 9);
            (void)!::write(said[1], &number, sizeof number);
            (void)!::read(end[0], &c, 1);
        } catch (...) {
            (void)!::write(said[1], &number, sizeof number);
        }
        ::_exit(0);
    }
    ::close(begin[1]);
    std::multiset<int> numbers;
    for (int i = 0, number; i < count && ::read(said[0], &number, sizeof number) == sizeof number; ++i) numbers.insert(number);
    ::close(end[1]);
    while (::wait(nullptr) > 0) {
    }
    for (const int fd : {begin[0], said[0], said[1], end[0]}) ::close(fd);
    BOOST_REQUIRE(numbers.size() == count);
    BOOST_TEST(*numbers.begin() >= 0);
    BOOST_TEST(numbers.count(*numbers.begin()) == count);
}

BOOST_AUTO_TEST_SUITE_END()
