// Table "launcher" 1: no LaunchSpec of the kit can become a container, so all must be refused, by words.
#include <singularity/launcher.h>
#include <string.h>
#include <unistd.h>

#include "checks.hpp"
#include "contract.hpp"

namespace conformance {

void check_launcher(Run& run, const Capability& c) {
    const std::vector<std::string> specs = {"",
                                            "{",
                                            "null",
                                            "[]",
                                            "\"text\"",
                                            "{}",
                                            R"({"launchSpecVersion": 999999})",
                                            R"({"launchSpecVersion": "1.0", "images": 3, "process": []})",
                                            std::string(1 << 20, '['),
                                            "{\"a\":\"" + std::string(1 << 20, 'x') + "\"}",
                                            "\xff\xfe{}"};
    // What is wrong is the answer of the call itself, not a status of a child that found out.
    run.check(c.title() + ": a wrong LaunchSpec starts nothing", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& l = loaded.need<sg_launcher_v1>(probe, c.name, "launcher");
        if (!probe.expect(l.become && l.run && l.start && l.join && l.signal && l.state && l.remove,
                          "a function of its table is NULL"))
            return;
        const pid_t self = getpid();
        for (const auto& spec : specs) {
            if (probe.tired()) return;
            sg_call call;
            const sg_launch launch{spec.c_str(), nullptr, 0, &call};
            refused(probe, "in become with '" + shown(spec) + "'", [&](sg_error* e) { return l.become(&launch, e); });
            const int32_t rc = called_twice(probe, "in run with '" + shown(spec) + "'", [&](sg_error* e) {
                int32_t status = 0;
                return l.run(&launch, &status, e);
            });
            probe.expect(rc != SG_OK, "succeeds in run with '" + shown(spec) +
                                          "' (read the LaunchSpec before a child is made: its failure is run's own)");
            refused(probe, "in start with '" + shown(spec) + "'", [&](sg_error* e) {
                int32_t pid = 0;
                return l.start(&launch, "/nowhere/instance", &pid, e);
            });
            refused(probe, "in join with '" + shown(spec) + "'",
                    [&](sg_error* e) { return l.join(&launch, "/nowhere/instance", e); });
            if (getpid() != self) _exit(1);  // a child of the launcher's that came back here
            call.settle(probe, "with '" + shown(spec) + "'");
        }
    });
    run.check(c.title() + ": containers that are not there", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& l = loaded.need<sg_launcher_v1>(probe, c.name, "launcher");
        for (const auto& text : strange_texts()) {
            if (probe.tired()) return;
            const std::string name = "/nowhere/instances/" + text, where = "of '" + shown(name) + "'";
            char out[4096 + 64];
            memset(out, 0x5a, sizeof out);
            // What is not there may be said to have stopped.
            if (called_twice(probe, "in state " + where,
                             [&](sg_error* e) { return l.state(name.c_str(), out, 4096, e); }) == SG_OK)
                probe.expect(ends(out, 4096) && out[0] == '{',
                             "gives a state that is no JSON object of one text " + where);
            probe.expect(out[4096] == 0x5a, "state writes beyond its room " + where);
            refused(probe, "in signal " + where, [&](sg_error* e) { return l.signal(name.c_str(), 15, e); });
            // Taking away what is not there may well be no failure.
            called_twice(probe, "in remove " + where, [&](sg_error* e) { return l.remove(name.c_str(), e); });
        }
    });
    run.check(c.title() + ": leaks nothing", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& l = loaded.need<sg_launcher_v1>(probe, c.name, "launcher");
        leaks_nothing(probe, "a refused run and state", [&] {
            const sg_launch launch{"{}", nullptr, 0, nullptr};
            sg_error err;
            int32_t status = 0;
            char out[4096];
            l.run(&launch, &status, &err);
            l.state("/nowhere/instance", out, sizeof out, &err);
        });
    });
}

}  // namespace conformance
