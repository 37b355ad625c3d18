// Checking the signatures of an image (github.com/apptainer/sif, pkg/integrity; those of Singularity before 3.6, too).
#pragma once
#include <functional>
#include <optional>

#include "signing/integrity.hpp"
#include "signing/openpgp.hpp"
#include "signing/pem.hpp"

namespace signing {

struct Wanted {
    std::optional<uint64_t> group, object;
    bool all = false, legacy = false;
};

struct Signer {
    std::string name, fingerprint;
    bool local = true;             // the key was in a ring, not fetched
    bool checked = false;          // its signature is right, and what it covers is as it was signed
    std::string why;               // else why not
    bool tolerated = false;        // its key is unknown, but somebody known signed the same
    std::set<uint64_t> objects;    // covered
};

// What signatures are checked with: the keys of a ring (and `fetch` for a key that it lacks), or one PEM key.
struct Trust {
    Keys* keys = nullptr;
    Keys* site_keys = nullptr;
    const PemKey* pem = nullptr;
    // Adds the key with this fingerprint to `keys` when a server has it; false when none has.
    std::function<bool(const std::string& fingerprint)> fetch;
};

// One entry for each signature that had to be right. Throws when there is none for what is wanted.
std::vector<Signer> verify_image(const ForeignImage& image, const Wanted& wanted, const Trust& trust, const Host& host);

}  // namespace signing
