// The entry, what it says of itself, and its tables by name and version.
#include <dlfcn.h>
#include <string.h>

#include <atomic>

#include "checks.hpp"
#include "contract.hpp"

namespace conformance {

namespace {

unsigned threads_of_process() {
    FILE* f = fopen("/proc/self/status", "r");
    char line[256];
    unsigned n = 1;
    while (f && fgets(line, sizeof line, f)) sscanf(line, "Threads: %u", &n);
    if (f) fclose(f);
    return n;
}

}  // namespace

bool check_entry(Run& run) {
    const Subject& s = run.subject;
    run.check("entry: magic, ABI, name and version", [&](Probe& probe) {
        probe.step("while the object is loaded");
        void* handle = dlopen(s.object.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!handle) {
            const char* why = dlerror();
            return probe.fail(std::string("cannot be loaded: ") + (why ? why : "unknown reason"));
        }
        const auto entry = reinterpret_cast<const sg_plugin* (*)()>(dlsym(handle, "singularity_plugin"));
        if (!probe.expect(entry, "has no symbol singularity_plugin")) return;
        probe.step("in singularity_plugin()");
        const sg_plugin* p = entry();
        if (!probe.expect(p, "singularity_plugin() gives NULL")) return;
        if (!probe.expect(p->magic == SG_PLUGIN_MAGIC, "has a wrong magic")) return;
        if (!probe.expect(p->abi != 0 && p->abi <= SG_ABI_VERSION, "was built for plugin ABI " +
                                                                       std::to_string(p->abi) + "; this kit knows " +
                                                                       std::to_string(SG_ABI_VERSION)))
            return;
        probe.expect(entry() == p, "singularity_plugin() gives something else when it is called again");
        probe.expect(p->abi == s.abi,
                     "its manifest says ABI " + std::to_string(s.abi) + ", its object " + std::to_string(p->abi));
        probe.expect(p->name && s.name == p->name, std::string("its manifest calls it '") + s.name + "', its object '" +
                                                       (p->name ? p->name : "") + "'");
        probe.expect(p->version && *p->version, "its object has no version");
        if (p->version && !s.version.empty() && s.version != p->version)
            probe.note("its manifest says version " + s.version + ", its object " + p->version +
                       " (define SINGULARITY_PLUGIN_VERSION)");
        probe.expect(p->table, "gives no tables");
    });
    if (run.outcomes.back().state == State::failed) return false;

    run.check("entry: starts, without threads, also with a host that lacks services", [&](Probe& probe) {
        const unsigned before = threads_of_process();
        const Loaded loaded(probe, s, true);
        probe.expect(threads_of_process() == before, "starts threads in start");
        // Nothing but an answer is wanted of it here.
        for (const auto& c : s.capabilities) {
            probe.step("in table(\"" + c.name + "\", \"" + c.kind + "\", 1) with a host that lacks services");
            loaded.plugin().table(c.name.c_str(), c.kind.c_str(), 1);
        }
    });
    run.check("entry: the tables that its manifest declares", [&](Probe& probe) {
        const Loaded loaded(probe, s);
        probe.expect(!s.capabilities.empty(), "its manifest provides nothing");
        for (const auto& c : s.capabilities) {
            probe.step("in table, for " + c.title());
            for (const std::string& name : c.tables()) {
                const void* table = loaded.find<void>(c.name, name.c_str());
                probe.expect(table,
                             "its manifest provides " + c.title() + ", its object has no table '" + name + "' 1 for it");
                probe.expect(loaded.find<void>(c.name, name.c_str()) == table,
                             "gives another table of " + c.title() + " when it is asked again");
            }
            if (c.kind != "bootstrap") continue;
            for (const auto& [trait, extra] :
                 {std::pair{"publishes", "publish"}, {"searches", "search"}, {"deletes", "delete"}}) {
                const bool there = loaded.find<void>(c.name, extra);
                probe.expect(there || !c.has(trait), std::string("its manifest says '") + trait + "' of " + c.title() +
                                                         ", its object has no table '" + extra + "' 1");
                if (there && !c.has(trait))
                    probe.note(std::string("has a table '") + extra + "' for " + c.title() +
                               ", but its manifest does not say '" + trait + "'");
            }
        }
    });
    run.check("entry: an unknown table, version or capability is answered with NULL", [&](Probe& probe) {
        const Loaded loaded(probe, s);
        std::vector<std::string> names{"", "no such capability", std::string(1 << 20, 'x')};
        for (const auto& c : s.capabilities) names.push_back(c.name);
        for (const auto& name : names)
            for (const std::string& table : {std::string(), std::string("no-such-table"), std::string("Bootstrap"),
                                             std::string(1 << 20, 't'), std::string("\xff")}) {
                probe.step("in table(\"" + shown(name) + "\", \"" + shown(table) + "\", 1)");
                if (!probe.expect(!loaded.find<void>(name, table.c_str()),
                                  "has a table '" + shown(table) + "' for '" + shown(name) + "', which nobody knows"))
                    return;
            }
        for (const auto& c : s.capabilities)
            for (const uint32_t version : {0u, 77u, UINT32_MAX})
                probe.expect(!loaded.find<void>(c.name, c.kind.c_str(), version),
                             "answers for version " + std::to_string(version) + " of table '" + c.kind +
                                 "', which nobody knows");
    });
    run.check("entry: tables from several threads", [&](Probe& probe) {
        const Loaded loaded(probe, s);
        probe.step("in table, from 8 threads");
        std::atomic<unsigned> differ{0};
        for (const auto& c : s.capabilities) {
            std::atomic<const void*> first{nullptr};
            in_threads(8, [&](unsigned) {
                const void* found = loaded.find<void>(c.name, c.kind.c_str());
                const void* none = nullptr;
                if (!first.compare_exchange_strong(none, found) && none != found) ++differ;
            });
        }
        probe.expect(differ == 0, "gives threads different tables");
    });
    return run.outcomes[run.outcomes.size() - 3].state != State::failed;
}

}  // namespace conformance
