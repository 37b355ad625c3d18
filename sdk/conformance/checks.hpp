// The checks of each interface; each adds outcomes.
#pragma once
#include <string>
#include <vector>

#include "child.hpp"
#include "object.hpp"
#include "scratch.hpp"
#include "subject.hpp"

namespace conformance {

struct Run {
    const Subject& subject;
    const ObjectFile& object;
    const Scratch& scratch;
    std::vector<Outcome> outcomes;

    void check(const std::string& name, const std::function<void(Probe&)>& f, Limits limits = {}) {
        limits.verbose = subject.verbose;
        outcomes.push_back(run_check(name, scratch.fresh("home"), limits, f));
    }
    // A check that was not made.
    void skip(const std::string& name, const std::string& why) {
        outcomes.push_back({name, State::skipped, {}, {}, why});
    }
};

void check_object(Run& run);
// False when nothing else can be asked.
bool check_entry(Run& run);
void check_bootstrap(Run& run, const Capability& c);
void check_transport(Run& run, const Capability& c);
void check_format(Run& run, const Capability& c);
void check_launcher(Run& run, const Capability& c);
void check_command(Run& run, const Capability& c);
void check_hook(Run& run, const Capability& c);
// The optional tables of policy.h.
void check_full_name(Run& run, const Capability& c);
void check_signers(Run& run, const Capability& c);

}  // namespace conformance
