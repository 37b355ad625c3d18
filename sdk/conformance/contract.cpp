#include "contract.hpp"

#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <singularity/error.hpp>
#include <thread>

namespace conformance {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t cancel_ms = 100;  // plugin.h: "return SG_ECANCELLED within 100 ms"
constexpr unsigned char untouched = 0x5a;

unsigned open_descriptors() {
    unsigned n = 0;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc/self/fd"), closedir);
    while (dir && readdir(dir.get())) ++n;
    return n;
}

uint64_t bytes_in_use() {
    const struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

bool one_line(const char* text) {
    for (; *text; ++text)
        if (static_cast<unsigned char>(*text) < 0x20 || *text == 0x7f) return false;
    return true;
}

// What an error says, for the text of a finding; "" when it is not filled as it should be.
std::string told(const sg_error& err) {
    if (!ends(err.message, sizeof err.message) || !ends(err.hint, sizeof err.hint) || !one_line(err.message) ||
        !one_line(err.hint) || !err.message[0])
        return {};
    return std::string(": ") + err.message + (err.hint[0] ? std::string(" (") + err.hint + ")" : "");
}

void check_error(Probe& probe, const std::string& step, int32_t rc, const sg_error& err) {
    if (!probe.expect(rc >= SG_EINTERNAL && rc <= SG_EUSAGE,
                      "gives the code " + std::to_string(rc) + ", which is no sg_code, " + step))
        return;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&err);
    if (std::all_of(bytes, bytes + sizeof err.code + sizeof err.sys_errno + 64,
                    [](unsigned char c) { return c == untouched; })) {
        probe.fail("fails without filling the error " + step);
        return;
    }
    probe.expect(err.code == rc, "fills the error with code " + std::to_string(err.code) + ", but gives " +
                                     std::to_string(rc) + " " + step);
    if (!ends(err.message, sizeof err.message) || !ends(err.hint, sizeof err.hint) ||
        !ends(err.detail, sizeof err.detail)) {
        probe.fail("fills the error with a text that does not end in its room " + step);
        return;
    }
    probe.expect(err.message[0] != '\0', "fails without a message " + step);
    static const char why[] =
        " (a line break or another control character: replace those of texts that come from outside)";
    probe.expect(one_line(err.message),
                 "gives a message that is not one line ('" + shown(err.message) + "') " + step + why);
    probe.expect(one_line(err.hint), "gives a hint that is not one line ('" + shown(err.hint) + "') " + step + why);
}

}  // namespace

bool ends(const char* text, size_t capacity) { return memchr(text, 0, capacity) != nullptr; }

std::string shown(const std::string& text) {
    std::string out;
    for (const char c : text.substr(0, 40)) out += c >= ' ' && c < 0x7f ? c : '?';
    return text.size() > 40 ? out + "… (" + std::to_string(text.size()) + " bytes)" : out;
}

const std::vector<std::string>& strange_texts() {
    static const std::vector<std::string> texts = {"",
                                                   " ",
                                                   "/",
                                                   ":",
                                                   "//",
                                                   "..",
                                                   "../../../../x",
                                                   "/nowhere/at/all",
                                                   "nobody-has-this",
                                                   "-option",
                                                   "a\nb",
                                                   "%00%zz%",
                                                   "%s%n%s%n",
                                                   "\xff\xfe\x80",
                                                   "@",
                                                   "a@sha256:",
                                                   "x@sha256:" + std::string(64, 'z'),
                                                   "a:b:c:d:e:f",
                                                   "[::1]:99999/x",
                                                   std::string(1 << 16, '/'),
                                                   std::string(1 << 20, 'A')};
    return texts;
}

// ---- Loading -------------------------------------------------------------------------------------

Loaded::Loaded(Probe& probe, const Subject& subject, bool lame_host) {
    probe.step("while the object is loaded");
    void* handle = dlopen(subject.object.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char* why = dlerror();
        probe.fail(std::string("cannot be loaded: ") + (why ? why : "unknown reason"));
        throw Skipped();
    }
    const auto entry = reinterpret_cast<const sg_plugin* (*)()>(dlsym(handle, "singularity_plugin"));
    if (!entry) {
        probe.fail("has no symbol singularity_plugin");
        throw Skipped();
    }
    probe.step("in singularity_plugin()");
    plugin_ = entry();
    if (!plugin_ || plugin_->magic != SG_PLUGIN_MAGIC || plugin_->abi == 0 || plugin_->abi > SG_ABI_VERSION ||
        !plugin_->table) {
        probe.fail("is no plugin of this ABI (see the check of its entry)");
        throw Skipped();
    }
    host_serves(*plugin_);
    if (!plugin_->start) return;
    // A start that needs more than this host has may refuse; nothing else is asked then.
    if (called(probe, "in start", [&](sg_error* e) { return plugin_->start(host_for(subject, lame_host), e); }) ==
        SG_OK)
        return;
    if (!lame_host) probe.fail("cannot start with all services of a host");
    throw Skipped();
}

const void* Loaded::needed(Probe& probe, const std::string& capability, const char* table) const {
    probe.step("in table(\"" + capability + "\", \"" + table + "\", 1)");
    if (const void* found = plugin_->table(capability.c_str(), table, 1)) return found;
    probe.fail(std::string("has no table '") + table + "' 1 for '" + capability + "'");
    throw Skipped();
}

// ---- Calls ---------------------------------------------------------------------------------------

int32_t called(Probe& probe, const std::string& step, const std::function<int32_t(sg_error*)>& f) {
    struct {
        sg_error err;
        unsigned char behind[256];
    } room;
    memset(&room, untouched, sizeof room);
    probe.step(step);
    const int32_t rc = f(&room.err);
    const auto intact = [](const void* at, size_t size) {
        const auto* bytes = static_cast<const unsigned char*>(at);
        return std::all_of(bytes, bytes + size, [](unsigned char c) { return c == untouched; });
    };
    probe.expect(intact(room.behind, sizeof room.behind), "writes behind the error " + step);
    probe.because(rc == SG_OK ? "" : told(room.err));
    if (rc != SG_OK)
        check_error(probe, step, rc, room.err);
    else
        probe.expect(intact(&room.err, sizeof room.err), "touches the error though it succeeds " + step);
    return rc;
}

int32_t called_twice(Probe& probe, const std::string& step, const std::function<int32_t(sg_error*)>& f,
                     const std::function<void()>& undo) {
    const int32_t rc = called(probe, step, f);
    if (rc == SG_OK && undo) undo();
    probe.step(step + " without an error to fill (NULL)");
    const int32_t again = f(nullptr);
    if (again == SG_OK && undo) undo();
    probe.expect((rc == SG_OK) == (again == SG_OK), "answers otherwise when there is no error to fill (NULL) " + step);
    return rc;
}

void refused(Probe& probe, const std::string& step, const std::function<int32_t(sg_error*)>& f,
             const std::function<void()>& undo) {
    const int32_t rc = called_twice(probe, step, f, undo);
    probe.expect(rc != SG_OK, "succeeds " + step);
}

void ends_when_cancelled(Probe& probe, const std::string& step, unsigned after_ms,
                         const std::function<void(const sg_call*)>& f) {
    int64_t best = INT64_MAX;
    for (int attempt = 0; attempt < 3 && best > cancel_ms; ++attempt) {
        sg_call call;
        std::atomic<int64_t> cancelled_at{0};
        const auto now = [] {
            return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
        };
        std::atomic<bool> over{false};
        const auto cancel = [&] {
            cancelled_at = now();
            call.cancel();
        };
        std::thread canceller;
        if (after_ms == 0)
            cancel();
        else
            canceller = std::thread([&] {
                const auto end = Clock::now() + std::chrono::milliseconds(after_ms);
                while (!over && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                if (!over) cancel();
            });
        probe.step(step + ", cancelled " + (after_ms == 0 ? "before" : "meanwhile"));
        f(&call);
        const int64_t took = cancelled_at == 0 ? 0 : now() - cancelled_at;
        over = true;
        if (canceller.joinable()) canceller.join();
        best = std::min(best, took);
        if (attempt == 2 || best <= cancel_ms) call.settle(probe, step);
    }
    probe.expect(best <= cancel_ms,
                 "does not end within 100 ms of a cancel, but in " + std::to_string(best) + " ms " + step);
}

void leaks_nothing(Probe& probe, const std::string& what, const std::function<void()>& cycle) {
    constexpr int warm = 10, most = 50;
    constexpr uint64_t tolerated = most * 16;
    // Where one round is slow (a name server far away), fewer of them say the same: the check must end in its time.
    constexpr auto budget = std::chrono::seconds(5);
    probe.step("repeating " + what);
    // A pool may grow in the first rounds, and allocators keep some of what was freed: a leak is there each time.
    auto end = Clock::now() + budget;
    for (int i = 0; i < warm && (i < 2 || Clock::now() < end); ++i) cycle();
    uint64_t grown = 0;
    int more = 0, rounds = 0;
    for (int attempt = 0; attempt < 4; ++attempt) {
        const uint64_t before = bytes_in_use();
        const auto descriptors = static_cast<int>(open_descriptors());
        end = Clock::now() + budget;
        for (rounds = 0; rounds < most && (rounds < 2 || Clock::now() < end); ++rounds) cycle();
        const uint64_t after = bytes_in_use();
        grown = after > before ? after - before : 0;
        more = static_cast<int>(open_descriptors()) - descriptors;
        if (grown < tolerated && more < rounds) break;
    }
    probe.expect(grown < tolerated,
                 "leaks about " + std::to_string(grown / static_cast<uint64_t>(rounds)) + " bytes with each round of " + what);
    probe.expect(more < rounds, "leaks a descriptor with each round of " + what);
    // Objects that were built with a sanitizer know better.
    if (const auto recover = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "__lsan_do_recoverable_leak_check")))
        probe.expect(recover() == 0, "leaks memory (LeakSanitizer) in " + what);
}

void in_threads(unsigned count, const std::function<void(unsigned)>& f) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([&f, i] { f(i); });
    for (auto& t : threads) t.join();
}

// ---- Streams -------------------------------------------------------------------------------------

namespace {

class Sha256 {
public:
    Sha256() { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;
    ~Sha256() { EVP_MD_CTX_free(context_); }
    void add(const void* data, size_t size) { EVP_DigestUpdate(context_, data, size); }
    std::string hex() {
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        EVP_DigestFinal_ex(context_, bytes, &n);
        std::string out;
        for (unsigned i = 0; i < n; ++i) {
            out += "0123456789abcdef"[bytes[i] >> 4];
            out += "0123456789abcdef"[bytes[i] & 15];
        }
        return out;
    }

private:
    EVP_MD_CTX* context_ = EVP_MD_CTX_new();
};

}  // namespace

std::string sha256_of(const void* data, size_t size) {
    Sha256 s;
    s.add(data, size);
    return s.hex();
}

Read drain(Probe& probe, const std::string& step, sg_stream* stream, uint64_t limit) {
    Read out;
    if (!stream || !stream->next || !stream->close) {
        probe.fail("gives a stream without next or close " + step);
        out.code = SG_EINTERNAL;
        return out;
    }
    Sha256 sum;
    sg_slice kept{};
    std::string kept_sum;
    while (out.size < limit) {
        sg_slice s{};
        out.code = called(probe, step + " (next)", [&](sg_error* e) { return stream->next(stream, &s, e); });
        if (kept.owner) {
            // The kept slice must have survived this call.
            probe.expect(sha256_of(kept.data, static_cast<size_t>(kept.size)) == kept_sum,
                         "changes a slice that is still held " + step);
            kept.release(kept.owner);
            kept = {};
        }
        if (out.code != SG_OK) break;
        if (s.size == 0) {  // the end may have an owner as well
            if (s.owner && s.release) s.release(s.owner);
            break;
        }
        if (s.size > (uint64_t{1} << 30)) {
            if (s.data) probe.fail("gives a slice of " + std::to_string(s.size) + " bytes " + step);
        }
        if (s.owner && (!s.retain || !s.release)) {
            probe.fail("gives a slice with an owner, but without retain or release " + step);
            s.owner = nullptr;
        }
        if (s.data) {
            sum.add(s.data, static_cast<size_t>(s.size));
            if (out.bytes.size() < 4096)
                out.bytes.append(reinterpret_cast<const char*>(s.data),
                                 static_cast<size_t>(std::min<uint64_t>(s.size, 4096 - out.bytes.size())));
        } else {
            static const char zeros[65536] = {};
            for (uint64_t left = std::min(s.size, limit); left > 0;) {
                const size_t n = static_cast<size_t>(std::min<uint64_t>(left, sizeof zeros));
                sum.add(zeros, n);
                left -= n;
            }
        }
        out.size += s.size;
        if (s.owner && s.data) {
            s.retain(s.owner);  // one more, and one back: what is left is the one that came with it
            s.release(s.owner);
            kept = s;
            kept_sum = sha256_of(s.data, static_cast<size_t>(s.size));
        } else if (s.owner) {
            s.release(s.owner);
        }
    }
    if (kept.owner) kept.release(kept.owner);
    out.sha256 = sum.hex();
    probe.step(step + " (close)");
    stream->close(stream);
    return out;
}

Source::Source() {
    next = [](sg_stream* self, sg_slice* out, sg_error* err) -> int32_t {
        auto& s = *static_cast<Source*>(self);
        static const uint8_t zeros[65536] = {};
        *out = {};
        if (s.at < s.size) {
            const uint64_t n = std::min<uint64_t>(s.size - s.at, sizeof zeros);
            out->data = s.bytes.empty() ? zeros : reinterpret_cast<const uint8_t*>(s.bytes.data()) + s.at;
            out->size = n;
            s.at += n;
            return SG_OK;
        }
        return s.fails ? singularity::fill(err, singularity::Code::io, "the kit's stream breaks here")
                       : static_cast<int32_t>(SG_OK);
    };
    close = [](sg_stream* self) { ++static_cast<Source*>(self)->closed; };
}
Source::Source(uint64_t n, bool breaks) : Source() { size = n, fails = breaks; }
Source::Source(const Source& o) : Source() { bytes = o.bytes, size = o.size, fails = o.fails; }
Source Source::of(std::string text) {
    Source s;
    s.size = text.size();
    s.bytes = std::move(text);
    return s;
}

}  // namespace conformance
