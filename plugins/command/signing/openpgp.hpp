// OpenPGP by librnp: keys in memory, clear-signed texts. Nothing here touches a file of the user.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace signing {

struct KeyFacts {
    std::string fingerprint;  // 40 upper-case hex digits
    std::string user;         // "NAME (COMMENT) <MAIL>"
    std::string algorithm;    // "RSA"
    uint32_t bits = 0;
    int64_t created = 0, expires = 0;  // 0: never
    bool revoked = false, secret = false;
};

class Keys {
public:
    using Passphrase = std::function<std::string(const std::string& user)>;

    Keys();
    ~Keys();
    Keys(const Keys&) = delete;
    Keys& operator=(const Keys&) = delete;

    // Adds the keys of a ring or an armoured block; what cannot be read is left out. Fingerprints of the primary keys
    // that came or changed. Throws Code::invalid when `bytes` are no OpenPGP keys at all.
    std::vector<std::string> add(std::string_view bytes);
    std::vector<KeyFacts> list(bool secret) const;  // primary keys, in the order of coming
    // By a fingerprint or its last 16 or 8 digits; nullopt when there is none.
    std::optional<KeyFacts> find(std::string_view id) const;
    std::string exported(const std::string& fingerprint, bool secret, bool armoured) const;
    std::string ring(bool secret) const;  // all, binary
    void remove(const std::string& fingerprint, bool secret);
    // A new pair (primary to sign, subkey to encrypt); `passphrase` "" = not protected. Its fingerprint.
    std::string generate(const std::string& user, const std::string& passphrase, unsigned bits);

    std::string clear_sign(std::string_view text, const std::string& fingerprint, const Passphrase& passphrase);

    struct Verdict {
        enum { good, unknown_key, bad } state = bad;
        std::string text;         // what was signed, line ends as they stood
        std::string fingerprint;  // of the primary key, when it is known
        std::string hash;         // "SHA256"
        int64_t made = 0;
        std::string why;          // of a bad one
    };
    // Of a text with exactly one signature.
    Verdict verify(std::string_view clear_signed) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace signing
