// Table "hook" 1.
#include <singularity/hook.h>

#include "checks.hpp"
#include "contract.hpp"

namespace conformance {

void check_hook(Run& run, const Capability& c) {
    if (c.only_tells_signers()) return;
    const auto tell = [](Probe& probe, const sg_hook_v1& hook, const sg_event& event, const std::string& step) {
        const int32_t rc = called_twice(probe, step, [&](sg_error* e) { return hook.notify(&event, e); });
        (void)rc;
    };
    run.check(c.title() + ": events of every shape", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& hook = loaded.need<sg_hook_v1>(probe, c.name, "hook");
        if (!probe.expect(hook.notify, "has no notify")) return;
        probe.expect(!c.traits.empty(), "its manifest names no event that it listens to");
        const char* none[] = {nullptr};
        const char* two[] = {"0123456789ABCDEF0123456789ABCDEF01234567", "", nullptr};
        std::vector<std::string> events(c.traits.begin(), c.traits.end());
        events.emplace_back("no-such-event");
        for (const auto& name : events) {
            tell(probe, hook, {name.c_str(), "", "", "", nullptr, 0}, "for '" + name + "' with empty members");
            tell(probe, hook,
                 {name.c_str(), "docker://example/x:1", ("sha256:" + std::string(64, 'a')).c_str(), "/nowhere/x.sif",
                  two, 7},
                 "for '" + name + "' with all members");
            for (const auto& text : strange_texts()) {
                if (probe.tired()) return;
                tell(probe, hook, {name.c_str(), text.c_str(), text.c_str(), text.c_str(), none, -1},
                     "for '" + name + "' of '" + shown(text) + "'");
            }
        }
    });
    run.check(c.title() + ": keeps nothing of an event", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& hook = loaded.need<sg_hook_v1>(probe, c.name, "hook");
        const std::string event = c.traits.empty() ? "built" : *c.traits.begin();
        leaks_nothing(probe, "notify", [&] {
            const std::string reference(1000, 'r');
            const sg_event e{event.c_str(), reference.c_str(), "", "/nowhere/x.sif", nullptr, 0};
            sg_error err;
            hook.notify(&e, &err);
        });
    });
}

}  // namespace conformance
