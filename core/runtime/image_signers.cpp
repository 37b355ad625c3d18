#include "runtime/image_signers.hpp"

#include <fcntl.h>
#include <singularity/policy.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "config/home.hpp"

namespace sg::runtime {

namespace {

constexpr size_t longest_record = 64 << 10;
// A file that changed so shortly before may change again within the same tick of the kernel's clock.
constexpr int64_t settled_ns = 60'000'000;

int64_t ns(const timespec& t) { return t.tv_sec * 1'000'000'000ll + t.tv_nsec; }

// Device too: who comes by another mount of the same file system looks again, which costs time and nothing else. The
// time of change of the inode cannot be set by anybody.
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

std::string hex(uint64_t n) {
    std::string out(16, '0');
    for (size_t i = 16; i-- > 0; n >>= 4) out[i] = "0123456789abcdef"[n & 15];
    return out;
}

uint64_t fnv(std::string_view text) {
    uint64_t h = 14695981039346656037ull;
    for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 1099511628211ull;
    return h;
}

// Where the user's answers are kept: a directory that nobody else may write to, or none.
class Records {
public:
    Records(const Settings& settings, const struct stat& image) {
        if (settings.boolean("cache.disable")) return;
        std::string root = settings.text("cachedir");
        if (root.empty()) {
            const Home home = Home::find();
            if (!home.trusted) return;
            root = home.config;
        }
        const std::string directory = root + "/cache/signers";
        for (size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
            ::mkdir(directory.substr(0, slash).c_str(), 0700);
            if (slash == std::string::npos) break;
        }
        UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        struct stat st {};
        if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_uid != ::geteuid() || (st.st_mode & 077) != 0) return;
        directory_ = std::move(fd);
        name_ = hex(fnv(std::to_string(image.st_dev) + " " + std::to_string(image.st_ino)));
    }

    std::string read() const {
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

    // Appears whole or not at all; that it cannot be written is no error.
    void write(const std::string& text) const {
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

private:
    UniqueFd directory_;
    std::string name_;
};

struct Answer {
    std::vector<std::string> signers, depends;
    bool whole = true;  // all that it depends on can be stamped
};

bool one_line(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
}

Answer ask(PluginHost& plugins, const CapabilityView& hook, const std::string& path, const sg_call* call) {
    const auto* table = static_cast<const sg_signers_v1*>(plugins.find_table(hook, "signers", 1));
    if (!table)
        throw Error(Code::unsupported, "the hook '" + std::string(hook.name) + "' does not tell who signed an image",
                    "This is a defect of its plugin.");
    Answer answer;
    const sg_signers_sink sink{&answer,
                               [](void* arg, const char* print) -> int32_t {
                                   static_cast<Answer*>(arg)->signers.emplace_back(print);
                                   return SG_OK;
                               },
                               [](void* arg, const char* file) -> int32_t {
                                   Answer& a = *static_cast<Answer*>(arg);
                                   a.depends.emplace_back(file);
                                   if (file[0] != '/' || !one_line(file)) a.whole = false;
                                   return SG_OK;
                               }};
    singularity::check([&](sg_error* e) { return table->signers(path.c_str(), call, &sink, e); });
    return answer;
}

// What besides the files decides: the plugin and its configuration.
std::string plugin_stamp(PluginHost& plugins, const CapabilityView& hook) {
    const PluginView plugin = plugins.index().plugin(hook.plugin);
    std::string text(plugin.manifest);
    for (uint32_t i = 0; i < plugins.index().key_count(); ++i) {
        const KeyView key = plugins.index().key(i);
        if (key.plugin != plugin.name) continue;
        text.append("\n").append(key.name);
        for (const auto& v : plugins.settings().values(key.name)) text += "\n=" + v;
    }
    return hex(fnv(text)) + stamp_of(std::string(plugin.object));
}

constexpr std::string_view depends_word = "depends ", signer_word = "signer ", end_word = "end";

// nullopt: the record is of another file, or something that it depends on has changed.
std::optional<std::vector<std::string>> signers_in(std::string_view record, const std::string& head) {
    if (!record.starts_with(head)) return std::nullopt;
    record.remove_prefix(head.size());
    std::vector<std::string> out;
    while (!record.empty()) {
        const size_t end = record.find('\n');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view line = record.substr(0, end);
        record.remove_prefix(end + 1);
        if (line == end_word) return record.empty() ? std::optional(out) : std::nullopt;
        if (line.starts_with(signer_word)) {
            out.emplace_back(line.substr(signer_word.size()));
        } else if (line.starts_with(depends_word)) {
            const size_t slash = line.find('/');
            if (slash == std::string_view::npos) return std::nullopt;
            const std::string file(line.substr(slash));
            if (line.substr(0, slash) != std::string(depends_word) + stamp_of(file) + " ") return std::nullopt;
        } else {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace

std::vector<std::string> image_signers(PluginHost& plugins, const std::string& path, const sg_call* call) {
    struct stat before {};
    if (::stat(path.c_str(), &before) != 0) throw_errno("cannot open", path);
    if (!S_ISREG(before.st_mode)) return {};
    std::optional<CapabilityView> hook;
    for (const auto& c : plugins.index().capabilities(CapabilityKind::hook))
        if (std::find(c.words.begin(), c.words.end(), "signers") != c.words.end()) hook = c;
    if (!hook)
        throw Error(Code::unsupported, "no registered plugin tells who signed an image",
                    "See: singularity plugin list");

    const Records records(plugins.settings(), before);
    const std::string head = "signers 1\nimage" + stamp_of(before) + "\nplugin " + plugin_stamp(plugins, *hook) + "\n";
    if (auto known = signers_in(records.read(), head)) return *known;

    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    log::verbose("Verifying the signatures of " + path);
    const Answer answer = ask(plugins, *hook, path, call);
    std::string record = head;
    for (const auto& file : answer.depends) record += std::string(depends_word) + stamp_of(file) + " " + file + "\n";
    for (const auto& print : answer.signers) record += std::string(signer_word) + print + "\n";
    record += std::string(end_word) + "\n";
    struct stat after {};
    const bool same = ::stat(path.c_str(), &after) == 0 && stamp_of(after) == stamp_of(before);
    if (!same) throw Error(Code::invalid, path + " changed while its signatures were verified", "Try again.");
    if (answer.whole && std::all_of(answer.signers.begin(), answer.signers.end(), one_line) &&
        ns(before.st_ctim) < ns(now) - settled_ns)
        records.write(record);
    return answer.signers;
}

}  // namespace sg::runtime
