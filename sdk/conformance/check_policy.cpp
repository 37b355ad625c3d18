// What policies ask: table "full_name" 1 of a source, "signers" 1 of a hook (policy.h).
#include <singularity/policy.h>
#include <string.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "checks.hpp"
#include "contract.hpp"

namespace conformance {

namespace {

struct Asked {
    std::string reference, directory;
    sg_pair none[1] = {{nullptr, nullptr}};
    sg_source_spec spec{};
    Asked(const Run& run, const Capability& c, std::string text)
        : reference(std::move(text)), directory(run.scratch.path() + "/home") {
        spec = {c.name.c_str(), reference.c_str(), directory.c_str(), "amd64", "", 0, none};
    }
};

// The name, or "" when there is none of that reference.
std::string name_of(Probe& probe, const sg_full_name_v1& table, const sg_source_spec& spec, const std::string& where) {
    char name[4096];
    memset(name, 0x5a, sizeof name);
    if (called_twice(probe, where, [&](sg_error* e) { return table.full_name(&spec, name, sizeof name, e); }) != SG_OK)
        return {};
    if (!probe.expect(ends(name, sizeof name), "gives a name that does not end in its room " + where)) return {};
    probe.expect(*name, "gives an empty name though it succeeds " + where);
    return name;
}

struct Told {
    std::vector<std::string> signers, depends;
    int32_t answer = SG_OK;
};

int32_t ask(Probe& probe, const sg_signers_v1& table, const std::string& path, const sg_call* call, Told& told,
            const std::string& where) {
    const sg_signers_sink sink{&told,
                               [](void* arg, const char* print) -> int32_t {
                                   static_cast<Told*>(arg)->signers.emplace_back(print ? print : "(NULL)");
                                   return static_cast<Told*>(arg)->answer;
                               },
                               [](void* arg, const char* file) -> int32_t {
                                   static_cast<Told*>(arg)->depends.emplace_back(file ? file : "(NULL)");
                                   return static_cast<Told*>(arg)->answer;
                               }};
    const int32_t rc = called(probe, where, [&](sg_error* e) { return table.signers(path.c_str(), call, &sink, e); });
    for (const auto& s : told.signers)
        probe.expect(
            s.size() >= 40 && std::all_of(s.begin(), s.end(),
                                          [](unsigned char c) { return std::isdigit(c) || (c >= 'A' && c <= 'F'); }),
            "gives '" + shown(s) + "' as a fingerprint " + where);
    for (const auto& d : told.depends)
        probe.expect(d.starts_with("/") || (d.starts_with("$") && d.find_first_of("/= ") == std::string::npos),
                     "depends on '" + shown(d) + "', which is no absolute path and no $VARIABLE, " + where);
    return rc;
}

}  // namespace

void check_full_name(Run& run, const Capability& c) {
    run.check(c.title() + ": the full name of a reference, where it gives one", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto* table = loaded.find<sg_full_name_v1>(c.name, "full_name");
        if (!table) probe.skip("it has no table 'full_name'");
        if (!probe.expect(table->full_name, "has no full_name")) return;
        std::vector<std::string> texts = strange_texts();
        texts.insert(texts.end(), {"name", "a/b:1", "host.example:5000/a/b@sha256:" + std::string(64, 'a'),
                                   "user:secret@host.example/a/b"});
        for (const auto& text : texts) {
            if (probe.tired()) return;
            const Asked asked(run, c, text);
            const std::string where = "in full_name of '" + shown(text) + "'";
            const std::string name = name_of(probe, *table, asked.spec, where);
            probe.expect(name.find("secret") == std::string::npos,
                         "gives the password of '" + shown(text) + "' in its name");
            probe.expect(name.find('\n') == std::string::npos, "gives a name of several lines " + where);
            // Whatever does not fit is no name at all: half of one would be judged by the wrong rule.
            for (const uint64_t room : {uint64_t{0}, uint64_t{1}, uint64_t{8}}) {
                char small[16];
                memset(small, 0x5a, sizeof small);
                const int32_t rc = called(probe, where + " with room for " + std::to_string(room),
                                          [&](sg_error* e) { return table->full_name(&asked.spec, small, room, e); });
                probe.expect(small[room] == 0x5a, "writes beyond the room for the name " + where);
                if (rc == SG_OK)
                    probe.expect(room > 0 && name == small,
                                 "gives a part of the name when there is too little room " + where);
            }
        }
        const Asked good(run, c, "a/b:1");
        leaks_nothing(probe, "full_name", [&] {
            char name[4096];
            sg_error err;
            table->full_name(&good.spec, name, sizeof name, &err);
        });
    });
}

void check_signers(Run& run, const Capability& c) {
    if (!c.has("signers")) return;
    run.check(c.title() + ": who signed what nobody signed", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& table = loaded.need<sg_signers_v1>(probe, c.name, "signers");
        if (!probe.expect(table.signers, "has no signers")) return;
        const std::string file = run.scratch.path() + "/home/nothing.img";
        std::ofstream(file) << std::string(100000, 'x');
        for (const auto& path : {file, std::string("/dev/null"), run.scratch.path()}) {
            Told told;
            ask(probe, table, path, nullptr, told, "for " + path);
            probe.expect(told.signers.empty(), "names a signer of " + path);
        }
        for (const auto& text : strange_texts()) {
            if (probe.tired()) return;
            Told told;
            ask(probe, table, "/" + text, nullptr, told, "for '/" + shown(text) + "'");
            probe.expect(told.signers.empty(), "names a signer of '/" + shown(text) + "'");
        }
        // Who is told may want to hear no more.
        Told stops;
        stops.answer = SG_ECANCELLED;
        const int32_t rc = ask(probe, table, file, nullptr, stops, "with a sink that stops");
        probe.expect(stops.signers.size() + stops.depends.size() <= 1, "goes on when its sink stops it");
        if (!stops.depends.empty()) probe.expect(rc == SG_ECANCELLED, "does not hand on what its sink gives");
        ends_when_cancelled(probe, "in signers", 0, [&](const sg_call* call) {
            Told told;
            ask(probe, table, file, call, told, "with a cancelled call");
        });
        leaks_nothing(probe, "signers", [&] {
            const sg_signers_sink sink{nullptr, [](void*, const char*) -> int32_t { return SG_OK; },
                                       [](void*, const char*) -> int32_t { return SG_OK; }};
            sg_error err;
            table.signers(file.c_str(), nullptr, &sink, &err);
        });
    });
}

}  // namespace conformance
