// What holds for every function of every table (plugin.h), in the form of helpers for the checks.
#pragma once
#include <singularity/plugin.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "child.hpp"
#include "host.hpp"
#include "subject.hpp"

namespace conformance {

// The object, loaded and started in this process.
class Loaded {
public:
    // Fails the check and ends it when the object cannot be loaded or started.
    Loaded(Probe& probe, const Subject& subject, bool lame_host = false);
    const sg_plugin& plugin() const { return *plugin_; }
    // Fails the check and ends it when there is none.
    template <class Table>
    const Table& need(Probe& probe, const std::string& capability, const char* table) const {
        return *static_cast<const Table*>(needed(probe, capability, table));
    }
    template <class Table>
    const Table* find(const std::string& capability, const char* table, uint32_t version = 1) const {
        return static_cast<const Table*>(plugin_->table(capability.c_str(), table, version));
    }

private:
    const void* needed(Probe& probe, const std::string& capability, const char* table) const;
    const sg_plugin* plugin_ = nullptr;
};

// Calls f(sg_error*) and checks what it answers: on success the error is untouched, on failure it holds the same code
// and a message of one line that ends inside of its room. The code.
int32_t called(Probe& probe, const std::string& step, const std::function<int32_t(sg_error*)>& f);
// The same, and once more without an error to fill: it must not be needed. `undo` takes back a success of the second
// time.
int32_t called_twice(Probe& probe, const std::string& step, const std::function<int32_t(sg_error*)>& f,
                     const std::function<void()>& undo = {});
// A call that must fail.
void refused(Probe& probe, const std::string& step, const std::function<int32_t(sg_error*)>& f,
             const std::function<void()>& undo = {});

// A text in an array of the caller's ends inside of it.
bool ends(const char* text, size_t capacity);

// Runs `f` with `call`, which is cancelled before (`after_ms` 0) or that many milliseconds later, and fails unless `f`
// ends within 100 ms of that. Three tries: the contract is the plugin's, not the machine's.
void ends_when_cancelled(Probe& probe, const std::string& step, unsigned after_ms,
                         const std::function<void(const sg_call*)>& f);

// Repeats `cycle`; fails when memory or descriptors grow with each round.
void leaks_nothing(Probe& probe, const std::string& what, const std::function<void()>& cycle);

// f(i) in `count` threads at once.
void in_threads(unsigned count, const std::function<void(unsigned)>& f);

// ---- Streams -------------------------------------------------------------------------------------

struct Read {
    int32_t code = SG_OK;  // of the last `next`
    uint64_t size = 0;
    std::string sha256;  // hex
    std::string bytes;   // the first 4 KiB
};
// Reads a stream to its end (or `limit` bytes) and closes it; slices that have owners are kept past the next call and
// must not change. Failures are told with `step`.
Read drain(Probe& probe, const std::string& step, sg_stream* stream, uint64_t limit = uint64_t{1} << 30);

std::string sha256_of(const void* data, size_t size);

// A stream of the kit's that counts.
struct Source : sg_stream {
    // Zeros, `size` of them (SG_SIZE_UNKNOWN: without end), then the end, or SG_EIO with a message when `fails`.
    explicit Source(uint64_t size, bool fails = false);
    static Source of(std::string bytes);
    std::string bytes;
    uint64_t size = 0, at = 0;
    bool fails = false;
    std::atomic<unsigned> closed{0};
    Source(const Source& o);

private:
    Source();
};

// Texts that a reference, URL or name can be made of, and that nobody expects. One has 1 MiB.
const std::vector<std::string>& strange_texts();
// A text for a message: printable, short.
std::string shown(const std::string& text);

}  // namespace conformance
