#include "runtime/subordinate_ids.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg::runtime {
namespace {

constexpr const char* files[] = {"/etc/subuid", "/etc/subgid"};
constexpr uint64_t first_start = 100000, end_of_ids = 4294967295;  // the last id means "none"

bool parse_number(std::string_view text, uint64_t& out) {
    const auto r = std::from_chars(text.data(), text.data() + text.size(), out);
    return r.ec == std::errc() && r.ptr == text.data() + text.size() && !text.empty();
}

struct Line {
    std::string_view text, owner;
    bool off = false, valid = false;
    uint64_t start = 0, count = 0;
};

Line parse_line(std::string_view text) {
    Line l;
    l.text = text;
    l.off = !text.empty() && text[0] == '!';
    text.remove_prefix(l.off);
    const size_t a = text.find(':'), b = a == std::string_view::npos ? a : text.find(':', a + 1);
    if (b == std::string_view::npos) return l;
    l.owner = text.substr(0, a);
    l.valid = parse_number(text.substr(a + 1, b - a - 1), l.start) && parse_number(text.substr(b + 1), l.count) && l.count > 0 && l.count <= end_of_ids &&
              l.start <= end_of_ids - l.count;
    return l;
}

template <class F>
void each_line(std::string_view text, F&& f) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        f(parse_line(text.substr(0, end)));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

bool owns(const Line& l, const std::string& name, uint32_t uid) {
    uint64_t number = 0;
    return l.valid && (l.owner == name || (parse_number(l.owner, number) && number == uid));
}

std::string read_text(int fd) {
    std::string out;
    char buffer[16384];
    ssize_t n;
    while ((n = ::read(fd, buffer, sizeof buffer)) > 0 && out.size() < (16u << 20)) out.append(buffer, static_cast<size_t>(n));
    return out;
}

std::string read_text(const char* path) {
    const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    return fd ? read_text(fd.get()) : std::string();
}

// Start of a block that overlaps no line of either text.
uint64_t free_start(std::string_view one, std::string_view two) {
    for (uint64_t start = first_start; start + subordinate_count <= end_of_ids;) {
        uint64_t next = start;
        for (const auto text : {one, two})
            each_line(text, [&](const Line& l) {
                if (l.valid && l.start < start + subordinate_count && start < l.start + l.count) next = std::max(next, l.start + l.count);
            });
        if (next == start) return start;
        start = next;
    }
    throw Error(Code::limit, "no block of 65536 subordinate ids is free");
}

void write_text(const char* path, int fd, const std::string& text) {
    if (::lseek(fd, 0, SEEK_SET) != 0 || ::ftruncate(fd, 0) != 0) throw_errno("cannot write", path);
    for (size_t at = 0; at < text.size();) {
        const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write", path);
        at += static_cast<size_t>(n);
    }
    if (::fsync(fd) != 0) throw_errno("cannot write", path);
}

}  // namespace

std::optional<SubordinateRange> find_range(std::string_view text, const std::string& name, uint32_t uid) {
    std::optional<SubordinateRange> best;
    each_line(text, [&](const Line& l) {
        if (l.off || !owns(l, name, uid) || l.count < subordinate_count) return;
        const auto better = [&] {
            if (!best) return true;
            if (best->count == subordinate_count) return false;
            return l.count == subordinate_count || l.count > best->count;
        };
        if (better()) best = SubordinateRange{static_cast<uint32_t>(l.start), static_cast<uint32_t>(l.count)};
    });
    return best;
}

std::optional<SubordinateIds> subordinate_ids(const std::string& name, uint32_t uid) {
    const auto uids = find_range(read_text(files[0]), name, uid);
    if (!uids) return std::nullopt;
    const auto gids = find_range(read_text(files[1]), name, uid);
    if (!gids) return std::nullopt;
    return SubordinateIds{*uids, *gids};
}

std::string edit_ranges(std::string_view text, RangeEdit edit, const std::string& name, uint32_t uid, std::string_view taken) {
    std::string out;
    bool found = false;
    each_line(text, [&](const Line& l) {
        const bool mine = owns(l, name, uid) && l.count >= subordinate_count;
        found = found || mine;
        if (mine && edit == RangeEdit::remove) return;
        if (mine && edit == RangeEdit::disable && !l.off) out += '!';
        out.append(l.text.substr(mine && edit == RangeEdit::enable && l.off ? 1 : 0));
        out += '\n';
    });
    if (edit == RangeEdit::add) {
        if (!found) out += name + ":" + std::to_string(free_start(text, taken)) + ":" + std::to_string(subordinate_count) + "\n";
    } else if (!found) {
        throw Error(Code::not_found, "user " + name + " has no range of subordinate ids", "'singularity config fakeroot --add " + name + "' gives one");
    }
    return out;
}

void edit_subordinate_ids(RangeEdit edit, const std::string& name) {
    const passwd* user = ::getpwnam(name.c_str());
    if (!user) throw Error(Code::not_found, "there is no user " + name + " on this machine");
    const uint32_t uid = user->pw_uid;
    UniqueFd open_files[2];
    std::string texts[2];
    for (int i = 0; i < 2; ++i) {
        open_files[i] = UniqueFd(::open(files[i], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!open_files[i]) throw_errno("cannot change the subordinate ids: cannot open", files[i]);
        if (::flock(open_files[i].get(), LOCK_EX) != 0) throw_errno("cannot lock", files[i]);
        texts[i] = read_text(open_files[i].get());
    }
    // Both are made before either is written; and a new block is free in both.
    const std::string changed[2] = {edit_ranges(texts[0], edit, name, uid, texts[1]), edit_ranges(texts[1], edit, name, uid, texts[0])};
    for (int i = 0; i < 2; ++i)
        if (changed[i] != texts[i]) write_text(files[i], open_files[i].get(), changed[i]);
}

}  // namespace sg::runtime
