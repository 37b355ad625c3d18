// What is tested: an object, and what its manifest says of it. `singularity plugin test` reads the manifest and hands
// it over as options of this program, one for each thing.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace conformance {

struct Capability {
    std::string kind, name;        // "bootstrap", "memory"
    std::set<std::string> traits;  // publishes, searches, deletes, directory; of a hook: its events
    std::vector<std::pair<uint64_t, std::string>> magics;
    std::vector<std::string> verbs;  // of a command, those that are run: "key list"

    bool has(const std::string& trait) const { return traits.count(trait) != 0; }
    std::string title() const { return kind + " " + name; }
    // A hook that hears of nothing but the event "signers" is never notified: it is asked who signed an image
    // (policy.h).
    bool only_tells_signers() const { return kind == "hook" && traits.size() == 1 && has("signers"); }
    // Those that the host needs of it, version 1 each.
    std::vector<std::string> tables() const {
        std::vector<std::string> out;
        if (!only_tells_signers()) out.push_back(kind);
        if (kind == "hook" && has("signers")) out.emplace_back("signers");
        return out;
    }
};

struct Key {
    std::string name, type;
    std::vector<std::string> values;
};

// A transport or a format of another registered plugin, for subjects that use one or stand in front of one.
struct Neighbour {
    std::string kind, name, object;
};

struct Subject {
    std::string manifest, object, name, version;
    uint32_t abi = 0;
    std::vector<Capability> capabilities;
    std::vector<Key> keys;  // the subject's own and its neighbours'
    std::vector<Neighbour> neighbours;
    std::vector<std::string> samples;  // --with: a reference, URL or file that works
    bool json = false, verbose = false;

    // From the options; throws std::runtime_error.
    static Subject of(int argc, char** argv);
};

}  // namespace conformance
