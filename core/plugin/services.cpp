#include "plugin/services.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <set>

#include "base/call.hpp"
#include "base/cores.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/timed_call.hpp"

#ifndef SG_VERSION
#define SG_VERSION "4.0.0"
#endif

namespace sg {

namespace {

std::atomic<Services*> active{nullptr};

Services& services() {
    Services* s = active.load(std::memory_order_acquire);
    if (!s) throw Error(Code::cancelled, "the command is ending");
    return *s;
}

// Texts handed to plugins live as long as the process.
const char* kept(const std::string& text) {
    static std::mutex mutex;
    static auto& texts = *new std::set<std::string>;  // never freed: plugins may outlive static objects
    const std::lock_guard lock(mutex);
    return texts.insert(text).first->c_str();
}

// ---- log ------------------------------------------------------------------------------------------

int32_t log_enabled(int32_t level) { return log::enabled(static_cast<log::Level>(level)) ? 1 : 0; }

void log_line(int32_t level, const char* text) {
    // One line, whatever a server put into it: no terminal control, no second line with a prefix.
    std::string line(text ? text : "");
    for (char& c : line)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = ' ';
    log::line(level <= SG_ERROR       ? log::Level::error
              : level <= SG_WARNING   ? log::Level::warning
              : level <= SG_INFO      ? log::Level::info
              : level <= SG_VERBOSE   ? log::Level::verbose
                                      : log::Level::debug,
              line);
}

// ---- call -----------------------------------------------------------------------------------------

int32_t call_cancelled(const sg_call* call) { return call && call->cancel.cancelled() ? 1 : 0; }
int32_t call_cancel_fd(const sg_call* call) { return call ? call->cancel.fd() : -1; }

sg_task* call_begin(const sg_call* call, const char* label, uint64_t total) {
    if (!call || !call->progress) return nullptr;
    try {
        return reinterpret_cast<sg_task*>(call->progress->begin(label ? label : "", total));
    } catch (const std::exception&) {
        return nullptr;  // nobody watches, then
    }
}
void call_advance(sg_task* task, uint64_t bytes) {
    if (task) reinterpret_cast<Progress::Bar*>(task)->advance(bytes);
}
void call_end(sg_task* task, int32_t code) {
    if (!task) return;
    const std::unique_ptr<Progress::Bar> bar(reinterpret_cast<Progress::Bar*>(task));
    bar->end(code);
}

// ---- config ---------------------------------------------------------------------------------------

template <class F>
int32_t value_of(const char* key, ValueType type, F&& take) {
    const Settings& settings = services().settings();
    const auto k = settings.index().find_key(key);
    if (!k) return SG_ENOTFOUND;
    if (k->type != type) return SG_EINVALID;
    take(settings);
    return SG_OK;
}

const char* config_text(const char* key) {
    const char* out = nullptr;
    singularity::guard(nullptr, [&] {
        value_of(key, ValueType::text, [&](const Settings& s) {
            const std::string v = s.text(key);
            if (!v.empty()) out = kept(v);
        });
    });
    return out;
}
int32_t config_integer(const char* key, int64_t* out) {
    return singularity::guard(nullptr, [&] { return value_of(key, ValueType::integer, [&](const Settings& s) { *out = s.integer(key); }); });
}
int32_t config_boolean(const char* key, int32_t* out) {
    return singularity::guard(nullptr, [&] { return value_of(key, ValueType::boolean, [&](const Settings& s) { *out = s.boolean(key); }); });
}
const char* config_item(const char* key, uint64_t i) {
    const char* out = nullptr;
    singularity::guard(nullptr, [&] {
        value_of(key, ValueType::list, [&](const Settings& s) {
            const auto all = s.list(key);
            if (i < all.size()) out = kept(all[static_cast<size_t>(i)]);
        });
    });
    return out;
}

// ---- temporary ------------------------------------------------------------------------------------

int32_t temporary_file(int32_t* fd, sg_error* err) {
    return singularity::guard(err, [&] { *fd = services().temporary().file().release(); });
}
int32_t temporary_directory(char* out, uint64_t capacity, sg_error* err) {
    return singularity::guard(err, [&] {
        const std::string path = services().temporary().directory();
        if (path.size() >= capacity) throw Error(Code::limit, "the path of the temporary directory is too long: " + path);
        std::memcpy(out, path.c_str(), path.size() + 1);
    });
}

// ---- executor, memory -------------------------------------------------------------------------------

uint32_t executor_width() {
    uint32_t width = 1;
    singularity::guard(nullptr, [&] { width = services().executor().width(); });
    return width;
}
int32_t executor_submit(void (*fn)(void*), void* arg) {
    return singularity::guard(nullptr, [&]() -> int32_t { return services().executor().submit(fn, arg) ? SG_OK : SG_ELIMIT; }) == SG_OK
               ? SG_OK
               : SG_ELIMIT;
}
int32_t memory_reserve(uint64_t bytes, const sg_call* call) {
    return singularity::guard(nullptr, [&]() -> int32_t {
        return services().memory().reserve(bytes, call ? &call->cancel : nullptr) ? SG_OK : SG_ECANCELLED;
    });
}
void memory_release(uint64_t bytes) {
    singularity::guard(nullptr, [&] { services().memory().release(bytes); });
}

// ---- credentials, transport, image ------------------------------------------------------------------

// The table, or why there is none. `answer` uses it.
template <class F>
int32_t with_credentials(sg_error* err, F&& answer) {
    const sg_host_credentials_v2* table = nullptr;
    const int32_t failed = singularity::guard(err, [&]() -> int32_t {
        const auto& find = services().credentials();
        if (!find) return singularity::fill(err, Code::not_found, "this command has no credentials");
        table = &find();
        return SG_OK;
    });
    if (failed != SG_OK) return failed;
    // A prompt, or a program that opens a window.
    const Untimed thinking;
    return answer(*table);
}

int32_t credentials_find(const char* server, const char* file, sg_credentials* out, sg_error* err) {
    return with_credentials(err, [&](const auto& t) { return t.find(server, file, out, err); });
}
int32_t credentials_find_anywhere(const char* server, sg_credentials* out, sg_error* err) { return credentials_find(server, nullptr, out, err); }
int32_t credentials_ask(const char* server, const char* user_prompt, const char* secret_prompt, sg_credentials* out, sg_error* err) {
    return with_credentials(err, [&](const auto& t) { return t.ask(server, user_prompt, secret_prompt, out, err); });
}
int32_t credentials_store(const char* server, const char* file, const sg_credentials* what, char* where, uint64_t capacity, sg_error* err) {
    return with_credentials(err, [&](const auto& t) { return t.store(server, file, what, where, capacity, err); });
}
int32_t credentials_erase(const char* server, const char* file, sg_error* err) {
    return with_credentials(err, [&](const auto& t) { return t.erase(server, file, err); });
}
int32_t credentials_list(const char* file, int32_t (*visit)(void*, const char*, const char*), void* arg, sg_error* err) {
    return with_credentials(err, [&](const auto& t) { return t.list(file, visit, arg, err); });
}
int32_t definition_read(const char* path, const sg_pair* options, sg_slice* out, sg_error* err) {
    const sg_host_definition_v1* table = nullptr;
    const int32_t failed = singularity::guard(err, [&]() -> int32_t {
        const auto& find = services().definitions();
        if (!find) return singularity::fill(err, Code::unsupported, "this command reads no definition files");
        table = &find();
        return SG_OK;
    });
    return failed != SG_OK ? failed : table->read(path, options, out, err);
}
int32_t signers_find(const char* path, const sg_call* call, const sg_signers_sink* sink, sg_error* err) {
    std::vector<std::string> found;
    const int32_t failed = singularity::guard(err, [&]() -> int32_t {
        const auto& find = services().signers();
        if (!find) return singularity::fill(err, Code::unsupported, "this command does not tell who signed an image");
        found = find(path, call);
        return SG_OK;
    });
    if (failed != SG_OK) return failed;
    for (const auto& fingerprint : found)
        if (const int32_t stop = sink->signer(sink->arg, fingerprint.c_str()); stop != SG_OK) return stop;
    return SG_OK;
}
int32_t transport_find(const char* scheme, const sg_transport_v1** out, sg_error* err) {
    return singularity::guard(err, [&] { *out = static_cast<const sg_transport_v1*>(services().transport()(scheme, "", "transport", 1)); });
}
int32_t transport_find_table(const char* scheme, const char* table, uint32_t version, const void** out, sg_error* err) {
    return singularity::guard(err, [&] { *out = services().transport()(scheme, "", table, version); });
}
int32_t transport_find_below(const char* scheme, const char* plugin, const char* table, uint32_t version, const void** out, sg_error* err) {
    return singularity::guard(err, [&] { *out = services().transport()(scheme, plugin, table, version); });
}
int32_t image_open(const char* path, const sg_format_v1** format, sg_image_file** image, sg_error* err) {
    return singularity::guard(err, [&] { services().image()(path, false, format, nullptr, image); });
}
int32_t image_open_parts(const char* path, int32_t writable, const sg_format_v1** format, const sg_parts_v1** parts,
                         sg_image_file** image, sg_error* err) {
    return singularity::guard(err, [&] { services().image()(path, writable != 0, format, parts, image); });
}

constexpr sg_host_log_v1 log_table{log_enabled, log_line};
constexpr sg_host_call_v1 call_table{call_cancelled, call_cancel_fd, call_begin, call_advance, call_end};
constexpr sg_host_config_v1 config_table{config_text, config_integer, config_boolean, config_item};
constexpr sg_host_temporary_v1 temporary_table{temporary_file, temporary_directory};
constexpr sg_host_executor_v1 executor_table{executor_width, executor_submit};
constexpr sg_host_memory_v1 memory_table{memory_reserve, memory_release};
constexpr sg_host_credentials_v1 credentials_table{credentials_find_anywhere, credentials_ask};
constexpr sg_host_credentials_v2 credentials_table_2{credentials_find, credentials_ask, credentials_store, credentials_erase, credentials_list};
constexpr sg_host_definition_v1 definition_table{definition_read};
constexpr sg_host_signers_v1 signers_table{signers_find};
constexpr sg_host_transport_v1 transport_table{transport_find};
constexpr sg_host_transport_v2 transport_table_2{transport_find_table, transport_find_below};
constexpr sg_host_image_v1 image_table{image_open};
constexpr sg_host_image_v2 image_table_2{image_open_parts};

const void* table(const sg_host*, const char* name, uint32_t version) {
    if (!name) return nullptr;
    const std::string_view wanted(name);
    if (wanted == "mount") {
        const Services* s = active.load(std::memory_order_acquire);
        if (s && version == 1) return s->mount_v1();
        return s && version == 2 ? s->mount() : nullptr;
    }
    if (wanted == "state" && version == 1) return Services::state();
    if (version == 2 && wanted == "image") return &image_table_2;
    if (wanted == "credentials" && version == 2) return &credentials_table_2;
    if (version == 2 && wanted == "transport") return &transport_table_2;
    if (version != 1) return nullptr;
    if (wanted == "log") return &log_table;
    if (wanted == "call") return &call_table;
    if (wanted == "config") return &config_table;
    if (wanted == "temporary") return &temporary_table;
    if (wanted == "executor") return &executor_table;
    if (wanted == "memory") return &memory_table;
    if (wanted == "credentials") return &credentials_table;
    if (wanted == "definition") return &definition_table;
    if (wanted == "signers") return &signers_table;
    if (wanted == "transport") return &transport_table;
    if (wanted == "image") return &image_table;
    return nullptr;
}

}  // namespace

Services::Services(const Settings& settings, const sg_host_mount_v2* mount, FindTransport transport, OpenImage image,
                   FindCredentials credentials, FindDefinitions definitions)
    : settings_(settings),
      mount_(mount),
      mount_v1_(mount ? sg_host_mount_v1{mount->prepare, mount->attach} : sg_host_mount_v1{}),
      transport_(std::move(transport)),
      image_(std::move(image)),
      credentials_(std::move(credentials)),
      definitions_(std::move(definitions)) {
    active.store(this, std::memory_order_release);
}

Services::~Services() {
    executor_.reset();  // jobs that are queued still find their services
    Services* self = this;
    active.compare_exchange_strong(self, nullptr);
}

void Services::set_signers(FindSigners find) { services().signers_ = std::move(find); }

void Services::set_state(FindState find) { services().state_ = std::move(find); }

const sg_host_state_v1* Services::state() {
    const Services* s = active.load(std::memory_order_acquire);
    const sg_host_state_v1* table = nullptr;
    if (s && s->state_) singularity::guard(nullptr, [&] { table = s->state_(); });
    return table;
}

Executor& Services::executor() {
    const std::lock_guard lock(mutex_);
    if (!executor_) {
        const int64_t wanted = settings_.integer("build.threads");
        executor_ = std::make_unique<Executor>(wanted > 0 ? static_cast<unsigned>(std::min<int64_t>(wanted, 1024)) : usable_cores());
    }
    return *executor_;
}

MemoryBudget& Services::memory() {
    const std::lock_guard lock(mutex_);
    if (!memory_) memory_ = std::make_unique<MemoryBudget>(static_cast<uint64_t>(settings_.integer("build.memory")));
    return *memory_;
}

Temporary& Services::temporary() {
    const std::lock_guard lock(mutex_);
    if (!temporary_) {
        std::string directory = settings_.text("tmpdir");
        temporary_ = std::make_unique<Temporary>(directory.empty() ? "/tmp" : directory);
    }
    return *temporary_;
}

const sg_host* Services::c() {
    static const sg_host host{SG_ABI_VERSION, SG_VERSION, table};
    return &host;
}

}  // namespace sg
