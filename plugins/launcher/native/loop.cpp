#include "loop.hpp"

#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <cstring>

namespace native {
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

}  // namespace

LoopDevice attach_loop(const std::string& file, uint64_t offset, uint64_t size, bool writable) {
    Fd image(::open(file.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!image) fail("cannot open the image", file);
    Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control) fail("cannot open", "/dev/loop-control", "the kernel module 'loop' makes it: modprobe loop");
    loop_config config;
    std::memset(&config, 0, sizeof config);
    config.fd = static_cast<__u32>(image.get());
    config.info.lo_offset = offset;
    config.info.lo_sizelimit = size;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (writable ? 0 : LO_FLAGS_READ_ONLY);
    file.copy(reinterpret_cast<char*>(config.info.lo_file_name), LO_NAME_SIZE - 1);
    // Other processes take free devices at the same time: then the next one.
    for (int tries = 0; tries < 256; ++tries) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) fail("no free loop device for", file, "'max_loop' of the kernel module limits them");
        const std::string path = "/dev/loop" + std::to_string(number);
        Fd device = open_device(path, number, writable);
        if (!device) fail("cannot open", path);
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return {std::move(device), path};
        if ((errno == EINVAL || errno == ENOTTY) && configure_in_two_steps(device.get(), config) == 0)
            return {std::move(device), path};
        if (errno != EBUSY) fail("cannot attach " + path + " to", file);
    }
    throw Error(Code::limit, "all loop devices were taken by others while attaching " + file);
}

}  // namespace native
