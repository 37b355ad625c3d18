// Signatures by PEM keys and X.509 certificates: DSSE envelopes (github.com/secure-systems-lab/dsse, protocol.md).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using EVP_PKEY = struct evp_pkey_st;

namespace signing {

inline constexpr char payload_type[] = "application/vnd.sylabs.sif-metadata+json";

// An asymmetric key: RSA (PKCS#1 v1.5), ECDSA or Ed25519, each with SHA-256 (Ed25519 signs the bytes themselves).
class PemKey {
public:
    // `passphrase` is asked when the file is encrypted. Throws Code::invalid naming the file.
    static PemKey private_from(const std::string& path, const std::function<std::string()>& passphrase);
    static PemKey public_from(const std::string& path);
    explicit PemKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {}

    std::string sign(std::string_view bytes) const;
    bool verifies(std::string_view bytes, std::string_view signature) const;
    // "SHA256:" and the unpadded base64 of the sum that OpenSSH prints for it. Apptainer looks only at the signatures
    // with the id of the key that it has.
    std::string id() const;

private:
    std::shared_ptr<EVP_PKEY> key_;
};

// The key of a certificate that is valid for code signing now. `roots` "" = the system's. Throws Code::invalid with
// the reason.
PemKey certified_key(const std::string& certificate, const std::string& intermediates, const std::string& roots);

std::string dsse_envelope(std::string_view payload, const PemKey& key);

struct Envelope {
    std::string type, payload;
    std::vector<std::string> signatures;  // decoded
};
// False: `data` is no such envelope. Throws Code::corrupt for a damaged one.
bool parse_envelope(std::string_view data, Envelope& out);
// One accepted signature is enough.
bool accepted(const Envelope& envelope, const PemKey& key);

}  // namespace signing
