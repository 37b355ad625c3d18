#include "store/records.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.hpp"
#include "store/cache_file.hpp"
#include "store/new_file.hpp"
#include "store/owner.hpp"
#include "store/private_directory.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {
constexpr uint64_t kMost = 4 << 20;
std::string directory_in(const std::string& root) { return root + "/records"; }
}  // namespace

void Records::put(const std::string& name, const std::string& text) const {
    make_cache_root(root_);
    make_private_directory(directory_in(root_));
    write_cache_file(root_, directory_in(root_) + "/" + name, text);
}

std::optional<std::string> Records::get(const std::string& name) const {
    return read_file(directory_in(root_) + "/" + name);
}

void Records::look_anew() const {
    const std::string name = directory_in(root_) + "/." + Owner::self().text();
    const UniqueFd fd(open(name.c_str(), O_CREAT | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600));
    if (fd) unlink(name.c_str());
}

void Records::remove(const std::string& name) const { unlink((directory_in(root_) + "/" + name).c_str()); }

std::vector<std::string> Records::names(const std::string& prefix) const {
    std::vector<std::string> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory_in(root_).c_str()), closedir);
    if (!dir) return out;
    while (const dirent* e = readdir(dir.get())) {
        std::string name = e->d_name;
        if (name.compare(0, prefix.size(), prefix) == 0) out.push_back(std::move(name));
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::string Records::name_of(const std::string& prefix, const std::string& text) { return prefix + sha256_hex(text); }

std::optional<std::string> Records::read_file(const std::string& path) const {
    uint64_t size = 0;
    const UniqueFd fd = open_cache_file(path, size);
    if (!fd || size > kMost) return std::nullopt;
    std::string text(size, '\0');
    size_t got = 0;
    while (got < text.size()) {
        const ssize_t n = pread(fd.get(), text.data() + got, text.size() - got, static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += static_cast<size_t>(n);
    }
    text.resize(got);
    return text;
}

}  // namespace sg
