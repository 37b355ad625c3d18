#include "ownership/mounts.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace sg::ownership {

namespace {

// Calls `each` with the number and the type of each mount (proc(5), mountinfo).
template <class Each>
void each_mount(int proc, Each&& each) {
    const UniqueFd file(openat(proc, "mountinfo", O_RDONLY | O_CLOEXEC));
    std::string text;
    char part[16384];
    for (ssize_t n = 0; file && (n = read(file.get(), part, sizeof part)) > 0;)
        text.append(part, static_cast<size_t>(n));
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        const size_t type = line.find(" - ");
        if (type != std::string_view::npos) each(std::strtoull(line.data(), nullptr, 10), line.substr(type + 3));
    }
}

}  // namespace

void Mounts::know(int proc) {
    each_mount(proc, [&](uint64_t number, std::string_view) { known_.insert(number); });
}

bool Mounts::may_enter(int object, int proc) const {
    struct statx st {};
    if (statx(object, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) != 0)
        return false;
    if (!(st.stx_mask & STATX_MNT_ID)) return true;  // before Linux 5.8: it cannot be told
    if (known_.count(st.stx_mnt_id) != 0) return true;
    bool fine = false, seen = false;
    each_mount(proc, [&](uint64_t number, std::string_view type) {
        if (number == st.stx_mnt_id) seen = true, fine = !type.starts_with("fuse");
    });
    return seen && fine;
}

}  // namespace sg::ownership
