#include "image/file_digest.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "image/hasher.hpp"

namespace sg {

std::string file_digest(const std::string& path, const sg_call* call) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw_errno("cannot open", path);
    posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    Hasher hasher("sha256");
    std::vector<char> buffer(1 << 20);
    for (;;) {
        const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path);
        if (n == 0) return hasher.finish();
        hasher.update(buffer.data(), static_cast<uint64_t>(n));
        if (call) call->cancel.poll();
    }
}

}  // namespace sg
