#include "ownership/told.hpp"

#include <sys/sysmacros.h>

#include <cstring>

namespace sg::ownership {

void tell(const Told& told, struct stat& st) {
    if (told.owner) st.st_uid = told.owner->uid, st.st_gid = told.owner->gid;
    if (told.device_type == 0) return;
    st.st_mode = told.device_type | (st.st_mode & 07777);
    st.st_rdev = makedev(told.major, told.minor);
    st.st_size = 0, st.st_blocks = 0;
}

void tell(const Told& told, struct statx& st) {
    if (told.owner) st.stx_uid = told.owner->uid, st.stx_gid = told.owner->gid;
    if (told.device_type == 0) return;
    st.stx_mode = static_cast<uint16_t>(told.device_type | (st.stx_mode & 07777));
    st.stx_rdev_major = told.major, st.stx_rdev_minor = told.minor;
    st.stx_size = 0, st.stx_blocks = 0;
}

std::array<unsigned char, 96> i386_stat64(const struct stat& st) {
    std::array<unsigned char, 96> out{};
    const auto put = [&](size_t at, auto value) { std::memcpy(out.data() + at, &value, sizeof value); };
    const auto half = [](auto value) { return static_cast<uint32_t>(value); };
    put(0, static_cast<uint64_t>(st.st_dev));
    put(12, half(st.st_ino));
    put(16, half(st.st_mode));
    put(20, half(st.st_nlink));
    put(24, half(st.st_uid));
    put(28, half(st.st_gid));
    put(32, static_cast<uint64_t>(st.st_rdev));
    put(44, static_cast<int64_t>(st.st_size));
    put(52, half(st.st_blksize));
    put(56, static_cast<uint64_t>(st.st_blocks));
    size_t at = 64;
    for (const timespec& t : {st.st_atim, st.st_mtim, st.st_ctim}) {
        put(at, half(t.tv_sec));
        put(at + 4, half(t.tv_nsec));
        at += 8;
    }
    put(88, static_cast<uint64_t>(st.st_ino));
    return out;
}

}  // namespace sg::ownership
