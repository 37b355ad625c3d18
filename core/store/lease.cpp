#include "store/lease.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <singularity/plugin.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.hpp"
#include "base/log.hpp"
#include "store/blob_store.hpp"
#include "store/output.hpp"
#include "store/private_directory.hpp"

namespace sg {

namespace {

using Clock = std::chrono::steady_clock;

// Always as long, so that no reader sees a part of it: "OWNER-RANDOM BEAT DONE TOTAL", blanks, a newline.
constexpr size_t kSize = 256;
constexpr time_t kLong = 24 * 60 * 60;  // seconds
constexpr auto kGlance = std::chrono::milliseconds(20);
constexpr auto kTold = std::chrono::milliseconds(100);
constexpr auto kAsked = std::chrono::milliseconds(1000);

std::string content(const std::string& token, uint64_t beat, uint64_t done, uint64_t total) {
    std::string text = token + " " + std::to_string(beat) + " " + std::to_string(done) + " " + std::to_string(total);
    text.resize(kSize - 1, ' ');
    return text + "\n";
}

struct Seen {
    std::string text, token;
    Lease::State state;
    std::optional<Owner> owner;
};

// Nothing when there is no such file. What is no lease has an empty token.
std::optional<Seen> look(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT) return std::nullopt;
        return Seen{};
    }
    char buffer[kSize];
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    Seen s;
    s.text.assign(buffer, n > 0 ? static_cast<size_t>(n) : 0);
    s.token = s.text.substr(0, s.text.find(' '));
    unsigned long long beat = 0, done = 0, total = 0;
    if (std::sscanf(s.text.c_str() + s.token.size(), "%llu %llu %llu", &beat, &done, &total) == 3)
        s.state = {done, total};
    s.owner = Owner::parse(std::string_view(s.token).substr(0, s.token.rfind('-')));
    return s;
}

std::string new_token() {
    unsigned long long bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != sizeof bits) throw_errno("cannot get random bytes", "");
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", bits);
    return Owner::self().text() + "-" + text;
}

// Takes the lease away from an owner that is gone. Two may do so at once, and the second one may find the lease of the
// first in its hands: that is put back.
void take_away(const std::string& root, const std::string& path, const std::string& token) {
    const std::string aside = root + "/tmp/" + new_token();
    if (rename(path.c_str(), aside.c_str()) != 0) return;  // somebody was faster
    const auto taken = look(aside);
    if (taken && taken->token != token) {
        if (link(aside.c_str(), path.c_str()) != 0) log::verbose("a lease of the cache changed hands twice");
    }
    remove_tree(aside);
}

}  // namespace

Lease::Lease(std::string path, std::string token, UniqueFd fd, const LeasePatience& patience)
    : path_(std::move(path)), token_(std::move(token)), fd_(std::move(fd)), patience_(patience), thread_([this] {
          beat();
      }) {}

Lease::~Lease() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    end_.notify_all();
    thread_.join();
    if (const auto seen = look(path_); seen && seen->token == token_) unlink(path_.c_str());
}

void Lease::tell(uint64_t done, uint64_t total) {
    done_.store(done, std::memory_order_relaxed);
    total_.store(total, std::memory_order_relaxed);
}

void Lease::beat() {
    std::unique_lock lock(mutex_);
    for (uint64_t number = 1; !end_.wait_for(lock, patience_.beat, [this] { return ended_; }); ++number) {
        // Should the lease have been taken away, this writes to a file that has no name any more.
        const std::string text = content(token_, number, done_, total_);
        [[maybe_unused]] const auto n = pwrite(fd_.get(), text.data(), text.size(), 0);
    }
}

std::unique_ptr<Lease> Lease::try_take(const std::string& path, const LeasePatience& patience) {
    const std::string token = new_token();
    const std::string name = path + "." + token;  // in the same directory: AFS links nowhere else
    UniqueFd fd(open(name.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600));
    if (!fd) throw_errno("cannot write to", path);
    const std::string text = content(token, 0, 0, 0);
    if (pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        const int why = errno;
        unlink(name.c_str());
        throw system_error(why, "cannot write to", path);
    }
    // An answer of link(2) may get lost on a network; the number of links does not (open(2), O_EXCL).
    const int result = link(name.c_str(), path.c_str());
    const int why = errno;
    struct stat st {};
    const bool mine = result == 0 || (fstat(fd.get(), &st) == 0 && st.st_nlink == 2);
    if (!mine && (why == EPERM || why == EOPNOTSUPP || why == ENOSYS || why == EMLINK)) {
        // A file system without links: made under its name, which readers may see while it is empty.
        UniqueFd direct(open(path.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600));
        const int why_not = errno;
        unlink(name.c_str());
        if (!direct && why_not == EEXIST) return nullptr;
        if (!direct) throw system_error(why_not, "cannot write to", path);
        [[maybe_unused]] const auto n = pwrite(direct.get(), text.data(), text.size(), 0);
        return std::unique_ptr<Lease>(new Lease(path, token, std::move(direct), patience));
    }
    unlink(name.c_str());
    if (mine) return std::unique_ptr<Lease>(new Lease(path, token, std::move(fd), patience));
    if (why != EEXIST) throw system_error(why, "cannot write to", path);
    return nullptr;
}

namespace {

// What is learnt of a lease by looking at it again and again.
class Watch {
public:
    enum class Finding { none, held, handed_over, dead };
    Watch(std::string path, const LeasePatience& patience) : path_(std::move(path)), patience_(patience) {}

    Finding look_again() {
        const auto seen = look(path_);
        const auto now = Clock::now();
        if (!seen) return Finding::none;
        Finding finding = Finding::held;
        if (seen->text != last_.text || !any_) {
            if (any_ && seen->token != last_.token) finding = Finding::handed_over;
            last_ = *seen;
            changed_ = now;
            any_ = true;
        }
        const auto silent = now - changed_;
        const bool here = seen->owner && seen->owner->same_host();
        if ((seen->owner && seen->owner->state() == Owner::State::dead) ||
            silent > (here || seen->token.empty() ? patience_.same_host : patience_.other_host))
            return Finding::dead;
        return finding;
    }
    bool any() const { return any_; }  // somebody had it
    const Seen& last() const { return last_; }
    void forget() { any_ = false; }

private:
    const std::string path_;
    const LeasePatience& patience_;
    Seen last_;
    bool any_ = false;
    Clock::time_point changed_;
};

// Whoever takes a lease looks after all of them: what a dead owner held may be wanted by nobody any more.
std::string make_place(const std::string& root, const std::string& name) {
    make_cache_root(root);
    make_private_directory(root + "/tmp");
    make_private_directory(root + "/leases");
    Lease::remove_left_over(root);
    return root + "/leases/" + name;
}

// Something that is done at most so often.
class Every {
public:
    explicit Every(std::chrono::milliseconds time) : time_(time) {}
    bool now() {
        const auto at = Clock::now();
        if (at < next_) return false;
        next_ = at + time_;
        return true;
    }

private:
    const std::chrono::milliseconds time_;
    Clock::time_point next_ = Clock::time_point::min();
};

void glance() { usleep(std::chrono::duration_cast<std::chrono::microseconds>(kGlance).count()); }

}  // namespace

std::unique_ptr<Lease> Lease::acquire(const std::string& root, const std::string& name,
                                      const std::function<bool()>& have_result,
                                      const std::function<void(const State&)>& waiting, const sg_call* call,
                                      const LeasePatience& patience) {
    const std::string path = make_place(root, name);
    Watch watch(path, patience);
    Every told(kTold), asked(kAsked);
    for (bool ask = true;;) {
        if (call) call->cancel.poll();
        if (asked.now() || ask) {
            ask = false;
            if (have_result()) {
                // Who died with its work done leaves the lease to nobody else.
                if (const auto left = look(path); left && left->owner && left->owner->state() == Owner::State::dead)
                    take_away(root, path, left->token);
                return nullptr;
            }
        }
        switch (watch.look_again()) {
            case Watch::Finding::none:
                if (watch.any() && have_result()) return nullptr;
                if (auto lease = try_take(path, patience)) {
                    // The one before us may have finished between our question and its end.
                    if (have_result()) return nullptr;
                    return lease;
                }
                continue;
            case Watch::Finding::dead:
                log::verbose("the process that was making this image is gone, its work is taken over");
                take_away(root, path, watch.last().token);
                ask = true;
                continue;
            case Watch::Finding::handed_over: ask = true; break;
            case Watch::Finding::held: break;
        }
        if (told.now()) waiting(watch.last().state);
        glance();
    }
}

std::unique_ptr<Lease> Lease::take_or_follow(const std::string& root, const std::string& name,
                                             const std::function<void(const State&)>& waiting, const sg_call* call,
                                             const LeasePatience& patience) {
    const std::string path = make_place(root, name);
    Watch watch(path, patience);
    for (Every told(kTold);;) {
        if (call) call->cancel.poll();
        switch (watch.look_again()) {
            case Watch::Finding::none:
                if (watch.any()) return nullptr;
                if (auto lease = try_take(path, patience)) return lease;
                continue;
            case Watch::Finding::dead:
                take_away(root, path, watch.last().token);
                watch.forget();
                continue;
            case Watch::Finding::handed_over: return nullptr;
            case Watch::Finding::held: break;
        }
        if (told.now()) waiting(watch.last().state);
        glance();
    }
}

std::unique_ptr<Lease> Lease::take_if_free(const std::string& root, const std::string& name,
                                           const LeasePatience& patience) {
    const std::string path = make_place(root, name);
    // Nobody waits for what this one has: whoever is silent for some beats has lost it.
    LeasePatience short_patience = patience;
    short_patience.other_host = patience.same_host;
    Watch watch(path, short_patience);
    for (std::string first;; glance()) {
        switch (watch.look_again()) {
            case Watch::Finding::none:
                if (auto lease = try_take(path, patience)) return lease;
                continue;
            case Watch::Finding::dead:
                take_away(root, path, watch.last().token);
                watch.forget();
                first.clear();
                continue;
            case Watch::Finding::handed_over: return nullptr;
            case Watch::Finding::held: break;
        }
        const Seen& seen = watch.last();
        if (seen.owner && seen.owner->state() == Owner::State::alive) return nullptr;
        if (first.empty()) first = seen.text;
        if (seen.text != first) return nullptr;
    }
}

void Lease::remove_left_over(const std::string& root) {
    const std::string directory = root + "/leases";
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), closedir);
    if (!dir) return;
    while (const dirent* e = readdir(dir.get())) {
        const std::string path = directory + "/" + e->d_name;
        struct stat st;
        if (fstatat(dirfd(dir.get()), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
        const auto seen = look(path);
        if (!seen) continue;
        const auto state = seen->owner ? seen->owner->state() : Owner::State::unknown;
        if (state == Owner::State::dead || (state == Owner::State::unknown && st.st_mtime < time(nullptr) - kLong))
            take_away(root, path, seen->token);
    }
}

class LeaseProgress::Line final : public Progress::Bar {
public:
    Line(LeaseProgress& all, Bar* next, uint64_t total) : all_(all), next_(next) {
        if (total != SG_SIZE_UNKNOWN) all_.total_ += total;
        all_.lease_.tell(all_.done_, all_.total_);
    }
    void advance(uint64_t bytes) override {
        all_.done_ += bytes;
        all_.lease_.tell(all_.done_, all_.total_);
        if (next_) next_->advance(bytes);
    }
    void end(int32_t code) override {
        if (next_) next_->end(code);
    }

private:
    LeaseProgress& all_;
    std::unique_ptr<Bar> next_;
};

Progress::Bar* LeaseProgress::begin(const char* label, uint64_t total) {
    return new Line(*this, next_ ? next_->begin(label, total) : nullptr, total);
}

}  // namespace sg
