#include "host.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <singularity/state.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <set>
#include <singularity/error.hpp>
#include <thread>
#include <vector>

#include "definition.hpp"
#include "images.hpp"

sg_call::sg_call() : fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
sg_call::~sg_call() { close(fd); }

void sg_call::cancel() {
    cancelled = true;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(fd, &one, sizeof one);
}

void sg_call::settle(conformance::Probe& probe, const std::string& where) {
    const std::lock_guard lock(mutex);
    for (auto& t : tasks) {
        const std::lock_guard own(t.mutex);
        const std::string name = "the progress task '" + t.label.substr(0, 60) + "' ";
        probe.expect(t.ended, name + "is never ended " + where);
        probe.expect(!t.wrong_end, name + "is ended twice " + where);
        probe.expect(!t.late, name + "advances after its end " + where);
        probe.expect(t.total == SG_SIZE_UNKNOWN || t.done <= t.total, name + "goes beyond its total " + where);
        probe.expect(!t.label.empty() && t.label.find('\n') == std::string::npos,
                     name + "has no label of one line " + where);
    }
    tasks.clear();
}

struct sg_state {
    std::string name;
};

namespace conformance {

namespace {

const void* find_table(const sg_host*, const char* name, uint32_t version);
sg_host host = {SG_ABI_VERSION, SG_VERSION, find_table};
const Subject* subject = nullptr;
const sg_plugin* loaded = nullptr;

// ---- Services ------------------------------------------------------------------------------------

int32_t log_enabled(int32_t) { return 1; }
void log_line(int32_t, const char* text) { fprintf(stderr, "%s\n", text ? text : "(null)"); }
const sg_host_log_v1 log_table = {log_enabled, log_line};

int32_t call_cancelled(const sg_call* call) {
    if (!call) return 0;
    auto* c = const_cast<sg_call*>(call);
    ++c->polls;
    return c->cancelled ? 1 : 0;
}
int32_t call_cancel_fd(const sg_call* call) { return call ? call->fd : -1; }
sg_task* call_begin(const sg_call* call, const char* label, uint64_t total) {
    if (!call) return nullptr;
    auto* c = const_cast<sg_call*>(call);
    const std::lock_guard lock(c->mutex);
    sg_task& t = c->tasks.emplace_back();
    t.label = label ? label : "";
    t.total = total;
    return &t;
}
void call_advance(sg_task* t, uint64_t bytes) {
    if (!t) return;
    const std::lock_guard lock(t->mutex);
    t->late = t->late || t->ended;
    t->done += bytes;
}
void call_end(sg_task* t, int32_t) {
    if (!t) return;
    const std::lock_guard lock(t->mutex);
    t->wrong_end = t->wrong_end || t->ended;
    t->ended = true;
}
const sg_host_call_v1 call_table = {call_cancelled, call_cancel_fd, call_begin, call_advance, call_end};

const Key* find_key(const char* name) {
    if (!subject || !name) return nullptr;
    for (const auto& k : subject->keys)
        if (k.name == name) return &k;
    return nullptr;
}
const char* config_text(const char* name) {
    const Key* k = find_key(name);
    return k && !k->values.empty() ? k->values[0].c_str() : nullptr;
}
int32_t config_integer(const char* name, int64_t* out) {
    const Key* k = find_key(name);
    if (!k || k->values.empty()) return SG_ENOTFOUND;
    if (k->type != "integer") return SG_EINVALID;
    *out = strtoll(k->values[0].c_str(), nullptr, 10);
    return SG_OK;
}
int32_t config_boolean(const char* name, int32_t* out) {
    const Key* k = find_key(name);
    if (!k || k->values.empty()) return SG_ENOTFOUND;
    if (k->type != "boolean") return SG_EINVALID;
    *out = k->values[0] == "true";
    return SG_OK;
}
const char* config_item(const char* name, uint64_t i) {
    const Key* k = find_key(name);
    return k && i < k->values.size() ? k->values[static_cast<size_t>(i)].c_str() : nullptr;
}
const sg_host_config_v1 config_table = {config_text, config_integer, config_boolean, config_item};

int32_t fail(sg_error* err, singularity::Code code, const char* message) {
    return singularity::fill(err, code, message);
}

int32_t temporary_file(int32_t* fd, sg_error* err) {
    char name[] = "kit-XXXXXX";  // in the check's own directory
    *fd = mkostemp(name, O_CLOEXEC);
    if (*fd < 0) return fail(err, singularity::Code::io, "cannot make a temporary file");
    unlink(name);
    return SG_OK;
}
int32_t temporary_directory(char* out, uint64_t capacity, sg_error* err) {
    char here[4096];
    if (!getcwd(here, sizeof here)) return fail(err, singularity::Code::io, "cannot make a temporary directory");
    std::string name = std::string(here) + "/kit-XXXXXX";
    if (!mkdtemp(name.data())) return fail(err, singularity::Code::io, "cannot make a temporary directory");
    if (name.size() + 1 > capacity)
        return fail(err, singularity::Code::limit, "the path of a temporary directory does not fit");
    memcpy(out, name.c_str(), name.size() + 1);
    return SG_OK;
}
const sg_host_temporary_v1 temporary_table = {temporary_file, temporary_directory};

// Four workers, started with the first job, for ever.
struct Executor {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::pair<void (*)(void*), void*>> jobs;
    std::once_flag started;

    void start() {
        for (int i = 0; i < 4; ++i)
            std::thread([this] {
                for (;;) {
                    std::unique_lock lock(mutex);
                    wake.wait(lock, [this] { return !jobs.empty(); });
                    const auto [fn, arg] = jobs.front();
                    jobs.pop_front();
                    lock.unlock();
                    fn(arg);
                }
            }).detach();
    }
};
Executor& executor() {
    static Executor* e = new Executor;  // lives longer than destructors of objects
    return *e;
}
uint32_t executor_width() { return 4; }
int32_t executor_submit(void (*fn)(void*), void* arg) {
    Executor& e = executor();
    std::call_once(e.started, [&] { e.start(); });
    {
        const std::lock_guard lock(e.mutex);
        e.jobs.emplace_back(fn, arg);
    }
    e.wake.notify_one();
    return SG_OK;
}
const sg_host_executor_v1 executor_table = {executor_width, executor_submit};

int32_t memory_reserve(uint64_t, const sg_call* call) { return call_cancelled(call) ? SG_ECANCELLED : SG_OK; }
void memory_release(uint64_t) {}
const sg_host_memory_v1 memory_table = {memory_reserve, memory_release};

int32_t credentials_find1(const char*, sg_credentials*, sg_error* err) {
    return fail(err, singularity::Code::not_found, "the kit has no credentials");
}
int32_t credentials_ask(const char*, const char*, const char*, sg_credentials*, sg_error* err) {
    return fail(err, singularity::Code::not_found, "there is no terminal");
}
int32_t credentials_find(const char*, const char*, sg_credentials*, sg_error* err) {
    return fail(err, singularity::Code::not_found, "the kit has no credentials");
}
int32_t credentials_store(const char*, const char*, const sg_credentials*, char*, uint64_t, sg_error* err) {
    return fail(err, singularity::Code::permission, "the kit keeps no credentials");
}
int32_t credentials_erase(const char*, const char*, sg_error* err) {
    return fail(err, singularity::Code::not_found, "the kit has no credentials");
}
int32_t credentials_list(const char*, int32_t (*)(void*, const char*, const char*), void*, sg_error*) { return SG_OK; }
const sg_host_credentials_v1 credentials_table1 = {credentials_find1, credentials_ask};
const sg_host_credentials_v2 credentials_table2 = {credentials_find, credentials_ask, credentials_store,
                                                   credentials_erase, credentials_list};

// What is kept for later processes: kept by this one alone.
std::mutex state_mutex;
std::map<std::string, std::string> state_texts;
std::set<std::string> states_held;

int32_t state_take(const char* plugin, const char* key, uint64_t, sg_state** out, sg_error* err) {
    const std::string name = std::string(plugin ? plugin : "") + "\n" + (key ? key : "");
    const std::lock_guard lock(state_mutex);
    if (!states_held.insert(name).second) return fail(err, singularity::Code::exists, "the state is held already");
    *out = new sg_state{name};
    return SG_OK;
}
int32_t state_get(sg_state* state, char* out, uint64_t capacity, sg_error* err) {
    const std::lock_guard lock(state_mutex);
    const auto at = state_texts.find(state->name);
    if (at == state_texts.end()) return fail(err, singularity::Code::not_found, "nothing was put");
    if (at->second.size() >= capacity) return fail(err, singularity::Code::limit, "there is too little room");
    memcpy(out, at->second.c_str(), at->second.size() + 1);
    return SG_OK;
}
int32_t state_put(sg_state* state, const char* text, sg_error* err) {
    if (strlen(text) >= SG_STATE_MAX) return fail(err, singularity::Code::limit, "the text is too long");
    const std::lock_guard lock(state_mutex);
    state_texts[state->name] = text;
    return SG_OK;
}
int32_t state_forget(sg_state* state, sg_error*) {
    const std::lock_guard lock(state_mutex);
    state_texts.erase(state->name);
    return SG_OK;
}
void state_close(sg_state* state) {
    {
        const std::lock_guard lock(state_mutex);
        states_held.erase(state->name);
    }
    delete state;
}
const sg_host_state_v1 state_table = {state_take, state_get, state_put, state_forget, state_close};

// Another plugin, loaded at the first question; nullptr when it cannot be.
const sg_plugin* load_neighbour(const Neighbour& n) {
    static std::mutex mutex;
    static std::map<std::string, const sg_plugin*> known;  // by object
    const std::lock_guard lock(mutex);
    if (const auto at = known.find(n.object); at != known.end()) return at->second;
    void* object = dlopen(n.object.c_str(), RTLD_NOW | RTLD_LOCAL);
    const auto entry = object ? reinterpret_cast<const sg_plugin* (*)()>(dlsym(object, "singularity_plugin")) : nullptr;
    const sg_plugin* plugin = entry ? entry() : nullptr;
    sg_error err{};
    if (plugin && plugin->start && plugin->start(&host, &err) != SG_OK) plugin = nullptr;
    return known[n.object] = plugin;
}

// The other plugin that serves `scheme`; nullptr when there is none.
const sg_plugin* neighbour_for(const char* scheme, std::string& why) {
    if (subject)
        for (const auto& n : subject->neighbours) {
            if (n.kind != "transport" || n.name != scheme) continue;
            const sg_plugin* plugin = load_neighbour(n);
            if (!plugin) why = ": " + n.object + " cannot be loaded";
            return plugin;
        }
    return nullptr;
}

int32_t transport_below(const char* scheme, const char*, const char* table, uint32_t version, const void** out,
                        sg_error* err) {
    std::string why;
    const sg_plugin* plugin = neighbour_for(scheme, why);
    if (!plugin)
        return fail(err, singularity::Code::not_found,
                    ("no other plugin here is a transport for '" + std::string(scheme) + "'" + why).c_str());
    *out = plugin->table(scheme, table, version);
    if (*out) return SG_OK;
    return fail(err, singularity::Code::unsupported,
                ("the transport for '" + std::string(scheme) + "' has no table '" + table + "'").c_str());
}

// The plugin's own transports first, as it would be registered last.
int32_t transport_find(const char* scheme, const char* table, uint32_t version, const void** out, sg_error* err) {
    if (subject && loaded)
        for (const auto& c : subject->capabilities)
            if (c.kind == "transport" && c.name == scheme && (*out = loaded->table(scheme, table, version)))
                return SG_OK;
    return transport_below(scheme, "", table, version, out, err);
}
int32_t transport_find1(const char* scheme, const sg_transport_v1** out, sg_error* err) {
    const void* found = nullptr;
    const int32_t rc = transport_find(scheme, "transport", 1, &found, err);
    if (rc == SG_OK) *out = static_cast<const sg_transport_v1*>(found);
    return rc;
}
const sg_host_transport_v1 transport_table1 = {transport_find1};
const sg_host_transport_v2 transport_table2 = {transport_find, transport_below};

struct Entry {
    const char* name;
    uint32_t version;
    const void* table;
};
const Entry entries[] = {{"log", 1, &log_table},
                         {"call", 1, &call_table},
                         {"config", 1, &config_table},
                         {"temporary", 1, &temporary_table},
                         {"executor", 1, &executor_table},
                         {"memory", 1, &memory_table},
                         {"credentials", 1, &credentials_table1},
                         {"credentials", 2, &credentials_table2},
                         {"transport", 1, &transport_table1},
                         {"transport", 2, &transport_table2},
                         {"image", 1, &image_table1},
                         {"image", 2, &image_table2},
                         {"definition", 1, &definition_table},
                         {"state", 1, &state_table}};

const void* find_table(const sg_host*, const char* name, uint32_t version) {
    for (const auto& e : entries)
        if (name && strcmp(e.name, name) == 0 && e.version == version) return e.table;
    return nullptr;
}
const void* no_table(const sg_host*, const char*, uint32_t) { return nullptr; }

}  // namespace

const sg_host* host_for(const Subject& s, bool lame) {
    subject = &s;
    host.table = lame ? no_table : find_table;
    return &host;
}

void host_serves(const sg_plugin& plugin) { loaded = &plugin; }

std::vector<FormatPlugin> formats_here() {
    std::vector<FormatPlugin> out;
    if (!subject) return out;
    for (const auto& c : subject->capabilities)
        if (c.kind == "format" && loaded) out.push_back({c.name, loaded});
    for (const auto& n : subject->neighbours)
        if (n.kind == "format")
            if (const sg_plugin* plugin = load_neighbour(n)) out.push_back({n.name, plugin});
    return out;
}

}  // namespace conformance
