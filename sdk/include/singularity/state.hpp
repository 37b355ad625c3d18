// SPDX-License-Identifier: BSD-3-Clause
// state.hpp: what a plugin finds again in a later process, in C++ (contract: state.h).
#pragma once
#include <singularity/state.h>

#include <memory>
#include <singularity/host.hpp>

namespace singularity {

// One key, held while the object lives. It is a help: a host that keeps nothing, and a text that is lost, are no
// failure, so nothing here throws; why is a line of --debug.
class State {
public:
    // `plugin`: the caller's own name. nullopt: nothing is kept here, or another process that lives holds the key.
    static std::optional<State> take(const char* plugin, const std::string& key, uint64_t seconds, const Host& host) {
        const auto* table = detail::host_table<sg_host_state_v1>("state");
        if (!table) return std::nullopt;
        sg_state* state = nullptr;
        if (!worked([&](sg_error* e) { return table->take(plugin, key.c_str(), seconds, &state, e); }, host))
            return std::nullopt;
        return State(table, state);
    }

    // The text that was put last.
    std::optional<std::string> get(const Host& host) const {
        std::string text(SG_STATE_MAX, '\0');
        if (!worked([&](sg_error* e) { return table_->get(state_.get(), text.data(), text.size(), e); }, host))
            return std::nullopt;
        text.resize(text.find('\0'));
        return text;
    }
    // false: it is not kept.
    bool put(const std::string& text, const Host& host) {
        return worked([&](sg_error* e) { return table_->put(state_.get(), text.c_str(), e); }, host);
    }
    void forget(const Host& host) {
        worked([&](sg_error* e) { return table_->forget(state_.get(), e); }, host);
    }

private:
    State(const sg_host_state_v1* table, sg_state* state) : table_(table), state_(state, table->close) {}
    template <class F>
    static bool worked(F&& f, const Host& host) {
        sg_error error{};
        const int32_t code = f(&error);
        if (code != SG_OK && code != SG_ENOTFOUND) host.debug(error.message);
        return code == SG_OK;
    }

    const sg_host_state_v1* table_;
    std::unique_ptr<sg_state, void (*)(sg_state*)> state_;
};

}  // namespace singularity
