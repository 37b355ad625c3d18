#include "config/source_state.hpp"

namespace sg {

SourceFile state_of(const std::string& path, const struct stat& st) {
    const bool directory = S_ISDIR(st.st_mode);
    return {path, directory ? 2u : 1u, st.st_ino, directory ? 0 : static_cast<uint64_t>(st.st_size),
            st.st_mtim.tv_sec * 1'000'000'000ll + st.st_mtim.tv_nsec};
}

SourceFile state_of(const std::string& path) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) return {path};
    return state_of(path, st);
}

}  // namespace sg
