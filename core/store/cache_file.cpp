#include "store/cache_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace sg {

UniqueFd open_cache_file(const std::string& path, uint64_t& size) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat st;
    if (!fd || fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return UniqueFd();
    size = static_cast<uint64_t>(st.st_size);
    return fd;
}

}  // namespace sg
