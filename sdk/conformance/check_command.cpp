// Table "command" 1. What a verb does is its author's business; that it ends, says why it fails and can be interrupted
// is not.
#include <singularity/command.h>

#include "checks.hpp"
#include "contract.hpp"

namespace conformance {

namespace {

struct Words {
    std::vector<std::string> texts;
    std::vector<const char*> pointers;
    explicit Words(std::vector<std::string> from) : texts(std::move(from)) {
        for (const auto& t : texts) pointers.push_back(t.c_str());
        pointers.push_back(nullptr);
    }
};

}  // namespace

void check_command(Run& run, const Capability& c) {
    Limits limits;
    limits.may_print = true;
    const std::string home = run.scratch.path() + "/home";
    const sg_pair no_options[] = {{nullptr, nullptr}};
    run.check(
        c.title() + ": unexpected arguments",
        [&](Probe& probe) {
            const Loaded loaded(probe, run.subject);
            const auto& command = loaded.need<sg_command_v1>(probe, c.name, "command");
            if (!probe.expect(command.run, "has no run")) return;
            std::vector<std::string> verbs = c.verbs;
            verbs.push_back(c.name + " no-such-verb");
            for (const auto& verb : verbs)
                for (const auto& text :
                     {std::string("/nowhere/at all"), std::string("\xff\n"), std::string(1 << 20, 'A')}) {
                    if (probe.tired()) return;
                    const Words words({text, text, text, text, text});
                    ends_when_cancelled(
                        probe, "in '" + verb + "' with five times '" + shown(text) + "'", 300,
                        [&](const sg_call* call) {
                            const sg_invocation i{verb.c_str(), no_options, words.pointers.data(), home.c_str(), call};
                            called(probe, "in '" + verb + "' with five times '" + shown(text) + "'", [&](sg_error* e) {
                                int32_t exit_code = 0;
                                return command.run(&i, &exit_code, e);
                            });
                        });
                }
        },
        limits);
    std::vector<std::string> samples;
    for (const auto& sample : run.subject.samples)
        if (sample == c.name || sample.starts_with(c.name + " ")) samples.push_back(sample);
    if (samples.empty()) return;
    run.check(
        c.title() + ": with what was given by --with",
        [&](Probe& probe) {
            const Loaded loaded(probe, run.subject);
            const auto& command = loaded.need<sg_command_v1>(probe, c.name, "command");
            for (const auto& sample : samples) {
                std::vector<std::string> texts;
                for (size_t at = 0; at < sample.size();) {
                    const size_t end = std::min(sample.find(' ', at), sample.size());
                    if (end > at) texts.push_back(sample.substr(at, end - at));
                    at = end + 1;
                }
                std::string verb = c.name;
                for (const auto& v : c.verbs)
                    if (sample.starts_with(v + " ") || sample == v) verb = v;
                const size_t skipped = static_cast<size_t>(std::count(verb.begin(), verb.end(), ' ')) + 1;
                texts.erase(texts.begin(), texts.begin() + static_cast<long>(std::min(skipped, texts.size())));
                const Words words(texts);
                sg_call call;
                const sg_invocation i{verb.c_str(), no_options, words.pointers.data(), home.c_str(), &call};
                const int32_t rc = called(probe, "in '" + sample + "'", [&](sg_error* e) {
                    int32_t exit_code = 0;
                    return command.run(&i, &exit_code, e);
                });
                probe.expect(rc == SG_OK, "fails with what was given by --with: '" + sample + "'" + probe.why());
                call.settle(probe, "in '" + sample + "'");
            }
        },
        limits);
}

}  // namespace conformance
