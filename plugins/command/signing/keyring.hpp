// The user's key rings: files pgp-public and pgp-secret, as the other tools keep them (RFC 4880, section 11.1,
// "Transferable Public Keys").
#pragma once
#include <string>

#include "signing/openpgp.hpp"

namespace signing {

// Each may name the directory of the user's rings; the first that is set does.
inline constexpr const char* directory_variables[] = {"SINGULARITY_SYPGPDIR", "SINGULARITY_KEYSDIR",
                                                      "APPTAINER_KEYSDIR", "APPTAINER_SYPGPDIR"};

class KeyRing {
public:
    // The directory that a variable names, else ~/.singularity/sypgp. Throws when a ring is there and cannot be read.
    static KeyRing of_user();
    // The site's ring; empty when there is none. `file` "" = none.
    static KeyRing of_site(const std::string& file);
    explicit KeyRing(std::string directory);

    Keys& keys() { return *keys_; }
    const std::string& directory() const { return directory_; }

    // Each takes the ring's lock, looks at what others wrote meanwhile, and appears whole or not at all.
    std::vector<std::string> add(std::string_view bytes);
    void remove(const std::string& fingerprint, bool secret);
    // What keys() got by generate().
    void keep(const std::string& fingerprint);

private:
    KeyRing() : keys_(std::make_unique<Keys>()) {}
    class Lock;
    void reload();
    void write(bool secret, const std::string& bytes);

    std::string directory_;
    std::unique_ptr<Keys> keys_;
};

}  // namespace signing
