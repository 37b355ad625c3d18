#include "packages/written.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace packages {

using singularity::Code;
using singularity::Error;

void write(const std::string& path, const std::string& text, unsigned mode) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    bool good = fd >= 0 && ::fchmod(fd, mode) == 0;
    for (std::string_view left = text; good && !left.empty();) {
        const ssize_t n = ::write(fd, left.data(), left.size());
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) left.remove_prefix(static_cast<size_t>(n));
    }
    const int why = errno;
    if (fd >= 0) ::close(fd);
    if (!good) throw Error(why == ENOSPC || why == EDQUOT ? Code::no_space : Code::io, "cannot write " + path + ": " + std::strerror(why)).because(why);
}

std::string rpm_home(const singularity::Host& host) {
    const std::string home = host.temporary_directory();
    write(home + "/.rpmmacros", "%_var /var\n%_dbpath %{_var}/lib/rpm\n");
    return home;
}

}  // namespace packages
