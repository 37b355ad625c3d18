#include "runtime/image_records.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "config/home.hpp"

namespace sg::runtime {

namespace {

constexpr size_t longest_record = 64 << 10;
constexpr int64_t settled_ns = 60'000'000;

int64_t ns(const timespec& t) { return t.tv_sec * 1'000'000'000ll + t.tv_nsec; }

}  // namespace

std::string stamp_of(const struct stat& st) {
    std::string out;
    for (const uint64_t n : {uint64_t{st.st_dev}, uint64_t{st.st_ino}, static_cast<uint64_t>(st.st_size),
                             static_cast<uint64_t>(ns(st.st_mtim)), static_cast<uint64_t>(ns(st.st_ctim))})
        out += " " + std::to_string(n);
    return out;
}

std::string stamp_of(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 ? stamp_of(st) : " absent";
}

bool is_settled(const struct stat& st, int64_t now_ns) { return ns(st.st_ctim) < now_ns - settled_ns; }

int64_t real_time_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return ns(now);
}

std::string hash_text(std::string_view text) {
    uint64_t h = 14695981039346656037ull;
    for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 1099511628211ull;
    std::string out(16, '0');
    for (size_t i = 16; i-- > 0; h >>= 4) out[i] = "0123456789abcdef"[h & 15];
    return out;
}

ImageRecords::ImageRecords(const Settings& settings, const char* kind, const struct stat& image) {
    if (settings.boolean("cache.disable") || image.st_nlink == 0) return;
    std::string root = settings.text("cachedir");
    if (root.empty()) {
        const Home home = Home::find();
        if (!home.trusted) return;
        root = home.config;
    }
    const std::string directory = root + "/cache/" + kind;
    for (size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
        ::mkdir(directory.substr(0, slash).c_str(), 0700);
        if (slash == std::string::npos) break;
    }
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_uid != ::geteuid() || (st.st_mode & 077) != 0) return;
    directory_ = std::move(fd);
    name_ = hash_text(std::to_string(image.st_dev) + " " + std::to_string(image.st_ino));
}

std::string ImageRecords::read() const {
    if (!directory_) return {};
    const UniqueFd fd(::openat(directory_.get(), name_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid() ||
        (st.st_mode & 022) != 0)
        return {};
    std::string out(longest_record, '\0');
    size_t got = 0;
    while (got < out.size()) {
        const ssize_t n = ::read(fd.get(), out.data() + got, out.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += static_cast<size_t>(n);
    }
    out.resize(got);
    return out;
}

void ImageRecords::write(const std::string& text) const {
    if (!directory_ || text.size() > longest_record) return;
    const std::string temporary = "." + name_ + "." + std::to_string(::getpid());
    ::unlinkat(directory_.get(), temporary.c_str(), 0);
    const UniqueFd fd(
        ::openat(directory_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return;
    bool good = true;
    for (size_t done = 0; good && done < text.size();) {
        const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) done += static_cast<size_t>(n);
    }
    if (!good || ::renameat(directory_.get(), temporary.c_str(), directory_.get(), name_.c_str()) != 0)
        ::unlinkat(directory_.get(), temporary.c_str(), 0);
}

}  // namespace sg::runtime
