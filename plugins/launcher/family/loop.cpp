#include "family/loop.hpp"

#include <linux/loop.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

namespace launcher {
namespace {

#ifndef LOOP_CONFIGURE
struct loop_config {
    __u32 fd, block_size;
    struct loop_info64 info;
    __u64 reserved[8];
};
#define LOOP_CONFIGURE 0x4C0A
#endif

// Before Linux 5.8: two steps, with a moment between them in which AUTOCLEAR is not set yet.
int configure_in_two_steps(int device, const loop_config& config) {
    if (::ioctl(device, LOOP_SET_FD, config.fd) != 0) return -1;
    if (::ioctl(device, LOOP_SET_STATUS64, &config.info) == 0) return 0;
    const int reason = errno;
    (void)::ioctl(device, LOOP_CLR_FD, 0);
    errno = reason;
    return -1;
}

Fd open_device(const std::string& path, long number, bool writable) {
    const int mode = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC;
    Fd fd(::open(path.c_str(), mode));
    // A /dev without udev or devtmpfs does not grow by itself.
    if (!fd && errno == ENOENT && ::mknod(path.c_str(), S_IFBLK | 0660, makedev(7, static_cast<unsigned>(number))) == 0)
        fd = Fd(::open(path.c_str(), mode));
    return fd;
}

// The kernel would decompress far ahead of each page that a program touches: 2.5 MiB where the disk likes large
// requests. Without it a start takes a quarter less, and reading whole files is as fast, as the image file's
// own read-ahead remains. Only since Linux 6.9 a later user of the device gets the default back.
void stop_read_ahead(int number) {
    struct utsname u;
    int major = 0, minor = 0;
    if (::uname(&u) != 0 || std::sscanf(u.release, "%d.%d", &major, &minor) != 2 || major < 6 ||
        (major == 6 && minor < 9))
        return;
    Fd fd(::open(("/sys/class/bdi/7:" + std::to_string(number) + "/read_ahead_kb").c_str(), O_WRONLY | O_CLOEXEC));
    if (fd) (void)!::write(fd.get(), "0", 1);
}

Fd open_control() {
    Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control) fail("cannot open", "/dev/loop-control", "the kernel module 'loop' makes it: modprobe loop");
    return control;
}

int free_number(int control, const std::string& file) {
    const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) fail("no free loop device for", file, "'max_loop' of the kernel module limits them");
    return number;
}

// `note` becomes the device's name for itself; what `losetup` shows is the kernel's own knowledge.
LoopDevice attach(int control, int image, const std::string& file, const std::string& note, uint64_t offset,
                  uint64_t size, bool writable) {
    loop_config config;
    std::memset(&config, 0, sizeof config);
    config.fd = static_cast<__u32>(image);
    config.info.lo_offset = offset;
    config.info.lo_sizelimit = size;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (writable ? 0 : LO_FLAGS_READ_ONLY);
    note.copy(reinterpret_cast<char*>(config.info.lo_file_name), LO_NAME_SIZE - 1);
    // Other processes take free devices at the same time: then the next one.
    for (int tries = 0; tries < 256; ++tries) {
        const int number = free_number(control, file);
        const std::string path = "/dev/loop" + std::to_string(number);
        Fd device = open_device(path, number, writable);
        if (!device) fail("cannot open", path);
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
            if (!writable) stop_read_ahead(number);
            return {std::move(device), path};
        }
        if ((errno == EINVAL || errno == ENOTTY) && configure_in_two_steps(device.get(), config) == 0)
            return {std::move(device), path};
        if (errno != EBUSY) fail("cannot attach " + path + " to", file);
    }
    throw Error(Code::limit, "all loop devices were taken by others while attaching " + file);
}

constexpr int most_looked_at = 64;  // devices, below the first free one and above it

enum class Device { in_use, free, none };

// By a look that costs less than opening it.
Device state_of(int number) {
    const std::string device = "/sys/block/loop" + std::to_string(number);
    if (::access((device + "/loop").c_str(), F_OK) == 0) return Device::in_use;
    return ::access(device.c_str(), F_OK) == 0 ? Device::free : Device::none;
}

// The device of the same bytes, open: from then on nobody's end takes it away.
std::optional<LoopDevice> find_loop(int free, const struct stat& image, const std::string& note, uint64_t offset,
                                    uint64_t size) {
    for (int number = std::max(0, free - most_looked_at); number < free + most_looked_at; ++number) {
        const Device state = state_of(number);
        if (state == Device::none && number > free) break;  // they are numbered in a row
        if (state != Device::in_use) continue;
        const std::string path = "/dev/loop" + std::to_string(number);
        Fd device(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        loop_info64 info;
        if (!device || ::ioctl(device.get(), LOOP_GET_STATUS64, &info) != 0) continue;
        constexpr __u32 want = LO_FLAGS_AUTOCLEAR | LO_FLAGS_READ_ONLY;
        if (info.lo_device == image.st_dev && info.lo_inode == image.st_ino && info.lo_offset == offset &&
            info.lo_sizelimit == size && (info.lo_flags & want) == want &&
            note == std::string_view(reinterpret_cast<const char*>(info.lo_file_name),
                                     ::strnlen(reinterpret_cast<const char*>(info.lo_file_name), LO_NAME_SIZE)))
            return LoopDevice{std::move(device), path};
    }
    return {};
}

}  // namespace

LoopDevice attach_loop(const std::string& file, uint64_t offset, uint64_t size, bool writable) {
    Fd image(::open(file.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!image) fail("cannot open the image", file);
    return attach_loop(image.get(), file, offset, size, writable);
}

LoopDevice attach_loop(int image, const std::string& file, uint64_t offset, uint64_t size, bool writable) {
    return attach(open_control().get(), image, file, file, offset, size, writable);
}

LoopDevice share_loop(const std::string& file, uint64_t offset, uint64_t size) {
    const Fd image(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat s;
    if (!image || ::fstat(image.get(), &s) != 0) fail("cannot open the image", file);
    const Fd control = open_control();
    char note[LO_NAME_SIZE];
    std::snprintf(note, sizeof note, "singularity %lld.%09ld %lld", static_cast<long long>(s.st_ctim.tv_sec),
                  s.st_ctim.tv_nsec, static_cast<long long>(s.st_size));
    // One looks and attaches at a time: ranks that start at once are to find the first one's. Without the lock each has
    // its own.
    while (::flock(control.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    if (auto found = find_loop(free_number(control.get(), file), s, note, offset, size)) return std::move(*found);
    return attach(control.get(), image.get(), file, note, offset, size, false);
}

}  // namespace launcher
