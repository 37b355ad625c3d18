#include "config/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "config/compile.hpp"
#include "config/encode.hpp"
#include "config/layout.hpp"
#include "config/source_state.hpp"

namespace sg {

namespace {

// A file that changed so shortly before it was read may change again without a new time stamp (the
// kernel's clock for files ticks every 1 to 10 ms): an index of it is not kept.
constexpr int64_t settled_ns = 60'000'000;

bool private_to(const struct stat& st, uint32_t owner) {
    return (st.st_uid == 0 || st.st_uid == owner || st.st_uid == geteuid()) && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Reads an index; nullopt when there is none that may be trusted and is whole.
std::optional<Index> read_index(const std::string& path, uint32_t owner, const std::string& stamp) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) return std::nullopt;
    struct stat st {};
    if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || !private_to(st, owner)) return std::nullopt;
    if (st.st_size < static_cast<off_t>(sizeof(layout::Header)) || st.st_size > static_cast<off_t>(layout::max_size)) return std::nullopt;
    // Read, not mapped: a file that is cut short while it is mapped would end the process.
    const auto size = static_cast<size_t>(st.st_size);
    std::shared_ptr<uint64_t[]> words(new (std::nothrow) uint64_t[size / 8 + 1]);
    if (!words) return std::nullopt;
    auto* bytes = reinterpret_cast<uint8_t*>(words.get());
    for (size_t got = 0; got < size;) {
        const ssize_t n = ::read(fd.get(), bytes + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return std::nullopt;
        got += static_cast<size_t>(n);
    }
    try {
        Index index = Index::over({bytes, size}, words);
        if (index.stamp() != stamp || !index_is_current(index)) return std::nullopt;
        return index;
    } catch (const Error& e) {
        log::debug(path + ": " + e.message());
        return std::nullopt;
    }
}

bool settled(const model::Configuration& c) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t ns = now.tv_sec * 1'000'000'000ll + now.tv_nsec;
    for (const auto& f : c.files)
        if (f.kind != 0 && f.mtime_ns > ns - settled_ns && f.mtime_ns <= ns + settled_ns) return false;
    return true;
}

// Appears whole or not at all; false with errno.
bool write_whole(int directory, const std::string& name, const std::string& bytes, mode_t mode) {
    const std::string temporary = "." + name + "." + std::to_string(getpid());
    UniqueFd fd(openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd && errno == EEXIST) {  // of a killed process that had our number
        unlinkat(directory, temporary.c_str(), 0);
        fd.reset(openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    }
    if (!fd) return false;
    bool good = fchmod(fd.get(), mode) == 0;
    for (size_t done = 0; good && done < bytes.size();) {
        const ssize_t n = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) done += static_cast<size_t>(n);
    }
    // No fsync: after a crash a torn index fails its checksum and is made again.
    good = good && renameat(directory, temporary.c_str(), directory, name.c_str()) == 0;
    if (!good) {
        const int failure = errno;
        unlinkat(directory, temporary.c_str(), 0);
        errno = failure;
    }
    return good;
}

// Directory and file of a user's index; "" when the user has no place of their own for it.
struct CachePlace {
    std::string directory, name;
};
CachePlace cache_place(const Home& home, const std::string& stamp) {
    std::string root;
    const char* set = std::getenv("SINGULARITY_CACHEDIR");
    if (!set || !*set) set = std::getenv("APPTAINER_CACHEDIR");
    if (set && *set == '/')
        root = set;
    else if (home.trusted)
        root = home.config;
    else
        return {};
    uint64_t h = 14695981039346656037ull;  // FNV-1a: a name, no protection
    for (const char c : stamp + std::to_string(geteuid())) h = (h ^ static_cast<uint8_t>(c)) * 1099511628211ull;
    char name[32];
    std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(h));
    return {root + "/cache/index", name};
}

UniqueFd open_own_directory(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    struct stat st {};
    if (!fd || fstat(fd.get(), &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0) return {};
    return fd;
}

void make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        mkdir(path.substr(0, slash).c_str(), 0700);
        if (slash == std::string::npos) break;
    }
}

void keep_in_cache(const CachePlace& place, const std::string& bytes) {
    if (place.directory.empty()) return;
    make_directories(place.directory);
    const UniqueFd directory = open_own_directory(place.directory);
    if (!directory || !write_whole(directory.get(), place.name, bytes, 0600))
        log::debug("the compiled configuration cannot be kept in " + place.directory);
}

bool keep_at_site(const Installation& installation, const std::string& bytes) {
    const size_t slash = installation.site_index.rfind('/');
    mkdir(installation.site_index.substr(0, slash).c_str(), 0755);
    const UniqueFd directory(open(installation.site_index.substr(0, slash).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory && write_whole(directory.get(), installation.site_index.substr(slash + 1), bytes, 0644);
}

bool has_files(const Home& home) {
    if (!home.trusted) return false;
    return access((home.config + "/config.yaml").c_str(), F_OK) == 0 || access((home.config + "/plugins.d").c_str(), F_OK) == 0;
}

bool same(const SourceFile& a, const SourceFile& b) {
    // Not the device: a network file system has another number on each node.
    return a.kind == b.kind && a.inode == b.inode && a.size == b.size && a.mtime_ns == b.mtime_ns;
}

}  // namespace

// "NAME=VALUE" is in the environment; "NAME" is not.
static bool variable_is(std::string_view text) {
    const size_t equals = text.find('=');
    const char* value = std::getenv(std::string(text.substr(0, equals)).c_str());
    return equals == std::string_view::npos ? !value : value && text.substr(equals + 1) == value;
}

bool index_is_current(const Index& index) {
    for (uint32_t i = 0; i < index.file_count(); ++i) {
        if (index.file(i).kind == 3) {
            if (!variable_is(index.file_path(i))) return false;
            continue;
        }
        struct stat st {};
        const bool there = stat(index.file_path(i).data(), &st) == 0;
        if (!same(index.file(i), there ? state_of({}, st) : SourceFile())) return false;
    }
    return true;
}

LoadedIndex load_index(const Installation& installation, const Home& home, Keep keep) {
    const bool personal = has_files(home);
    const Home nobody;
    const std::string stamp = index_stamp(installation, personal ? home : nobody);
    if (!personal)
        if (auto index = read_index(installation.site_index, installation.owner, stamp))
            return {std::move(*index), installation.site_index};
    const CachePlace place = cache_place(home, stamp);
    // Who can write the installation's index keeps it current for everybody.
    const bool for_site = keep == Keep::site && !personal && geteuid() == installation.owner;
    if (!for_site && !place.directory.empty() && open_own_directory(place.directory)) {
        const std::string path = place.directory + "/" + place.name;
        if (auto index = read_index(path, geteuid(), stamp)) return {std::move(*index), path};
    }
    model::Configuration configuration = compile_configuration(installation, personal ? home : nobody);
    std::string bytes = encode_index(configuration);
    if (settled(configuration)) {
        if (!for_site || !keep_at_site(installation, bytes)) keep_in_cache(place, bytes);
    }
    return {Index::owning(std::move(bytes)), ""};
}

Index index_of_what_can_be(const Installation& installation, const Home& home, std::vector<Error>& problems) {
    return Index::owning(encode_index(compile_what_can_be(installation, home, problems)));
}

void write_site_index(const Installation& installation) {
    model::Configuration configuration = compile_configuration(installation, {});
    // Right after an install everything is new: wait until its times can no longer repeat.
    for (int i = 0; i < 20 && !settled(configuration); ++i) {
        const timespec pause{0, 20'000'000};
        nanosleep(&pause, nullptr);
    }
    // Writing into a listed directory would make the index old at once; its own directory is none.
    if (!keep_at_site(installation, encode_index(configuration))) throw_errno("cannot write", installation.site_index);
}

}  // namespace sg
