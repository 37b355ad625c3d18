// OpenPGP public keys as the key server takes and lists them (librnp).
#pragma once
#include <string>
#include <vector>

namespace hub {

struct PublicKey {
    std::string fingerprint;         // upper case hex
    std::string armour;              // with subkeys
    std::string listing;             // its lines of a machine-readable index (draft-shaw-openpgp-hkp-00, section 5.2)
    std::string users;               // user ids, a line each
    std::vector<std::string> ids;    // of key and subkeys: fingerprint, last 16 and last 8 digits
};

// The one key of `given`, merged with what is known of it (`known` armour or ""). Only user ids that the key itself has
// signed stay; a revocation that the key itself has signed does. Throws Code::invalid: no key, several, a secret one,
// one without a user id of its own.
PublicKey read_key(const std::string& given, const std::string& known);
// The fingerprint of the one key of `given`, to look up what is known.
std::string fingerprint_of(const std::string& given);

}  // namespace hub
