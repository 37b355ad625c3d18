// The file: nothing visible but the entry, nothing that clashes in a process with other plugins.
#include "checks.hpp"

namespace conformance {

void check_object(Run& run) {
    run.check("object: exports its entry alone", [&](Probe& probe) {
        const ObjectFile& o = run.object;
        if (!probe.expect(o.defect.empty(), o.defect)) return;
        bool entry = false;
        std::string others;
        unsigned count = 0;
        for (const auto& name : o.exported) {
            if (name == "singularity_plugin")
                entry = true;
            else if (++count <= 5)
                others += (others.empty() ? "" : ", ") + name;
        }
        probe.expect(entry, "does not export singularity_plugin");
        // A sanitizer exports what it needs.
        if (!run.object.sanitizer().empty() && count > 0)
            return probe.note("symbols are not looked at: it was built with a sanitizer");
        probe.expect(count == 0, "exports " + std::to_string(count) +
                                     " symbols besides singularity_plugin, which other objects could take: " + others +
                                     " (link with the SDK's version script plugin.map)");
        probe.expect(!o.unique,
                     "has GNU unique symbols, which all objects of a process share (compile with -fno-gnu-unique)");
    });
    run.check("object: brings its C++ library along", [&](Probe& probe) {
        for (const auto& n : run.object.needed)
            if (n.starts_with("libstdc++.so") || n.starts_with("libc++.so"))
                probe.note(
                    "uses the system's " + n +
                    ", which must then be the right one on each machine (link with -static-libstdc++ -static-libgcc)");
    });
}

}  // namespace conformance
