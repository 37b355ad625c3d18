#include "lookup/state_service.hpp"

#include <cstring>
#include <mutex>
#include <singularity/error.hpp>

#include "base/error.hpp"
#include "lookup/cache_places.hpp"
#include "store/plugin_state.hpp"

struct sg_state {
    std::unique_ptr<sg::PluginState> kept;
};

namespace sg {

namespace {

std::mutex the_mutex;
std::string& the_root() {
    static auto& root = *new std::string;  // never freed: plugins may outlive static objects
    return root;
}

int32_t take(const char* plugin, const char* key, uint64_t seconds, sg_state** out, sg_error* err) {
    return singularity::guard(err, [&]() -> int32_t {
        std::string root;
        {
            const std::lock_guard lock(the_mutex);
            root = the_root();
        }
        if (root.empty())
            return singularity::fill(err, Code::unsupported, "nothing is kept for plugins, as there is no cache");
        auto kept = PluginState::take(root, plugin, key, seconds);
        if (!kept)
            return singularity::fill(
                err, Code::exists, std::string("another process has what plugin ") + plugin + " keeps under this key");
        *out = new sg_state{std::move(kept)};
        return SG_OK;
    });
}

int32_t get(sg_state* state, char* out, uint64_t capacity, sg_error* err) {
    return singularity::guard(err, [&]() -> int32_t {
        const auto text = state->kept->get();
        if (!text) return singularity::fill(err, Code::not_found, "nothing is kept under this key");
        if (text->size() >= capacity)
            return singularity::fill(err, Code::limit, "the kept text has " + std::to_string(text->size()) + " bytes");
        std::memcpy(out, text->c_str(), text->size() + 1);
        return SG_OK;
    });
}

int32_t put(sg_state* state, const char* text, sg_error* err) {
    return singularity::guard(err, [&] { state->kept->put(text); });
}

int32_t forget(sg_state* state, sg_error* err) {
    return singularity::guard(err, [&] { state->kept->forget(); });
}

void close(sg_state* state) { delete state; }

constexpr sg_host_state_v1 table{take, get, put, forget, close};

}  // namespace

const sg_host_state_v1& state_table(const Settings& settings) {
    const std::string root = cache_places(settings).own;
    const std::lock_guard lock(the_mutex);
    the_root() = root;
    return table;
}

}  // namespace sg
