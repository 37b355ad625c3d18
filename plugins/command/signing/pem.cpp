#include "signing/pem.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <singularity/json.hpp>

namespace signing {

using singularity::Code;
using singularity::Error;

namespace {

template <class T, void (*Free)(T*)>
struct Freed {
    void operator()(T* p) const { Free(p); }
};
using Bio = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;

std::string last_problem() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "unknown reason";
}

Bio open_file(const std::string& path) {
    Bio bio(BIO_new_file(path.c_str(), "rb"));
    if (bio) return bio;
    ERR_clear_error();
    throw Error(errno == ENOENT ? Code::not_found : errno == EACCES ? Code::permission : Code::io,
                "cannot open " + path + ": " + std::strerror(errno));
}

std::string base64(std::string_view bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    out.resize(static_cast<size_t>(n));
    return out;
}

std::optional<std::string> unbase64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string out(3 * text.size() / 4, '\0');
    const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    if (n < 0) return std::nullopt;
    size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
    out.resize(static_cast<size_t>(n) - padding);
    return out;
}

// DSSE's pre-authentication encoding.
std::string encoded(std::string_view type, std::string_view payload) {
    return "DSSEv1 " + std::to_string(type.size()) + " " + std::string(type) + " " + std::to_string(payload.size()) + " " + std::string(payload);
}

int ask(char* out, int capacity, int, void* arg) {
    const std::string text = (*static_cast<const std::function<std::string()>*>(arg))();
    if (text.size() > static_cast<size_t>(capacity)) return -1;
    std::memcpy(out, text.data(), text.size());
    return static_cast<int>(text.size());
}

const EVP_MD* digest_for(EVP_PKEY* key) { return EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256(); }

void check_kind(EVP_PKEY* key, const std::string& path) {
    const int id = EVP_PKEY_id(key);
    if (id != EVP_PKEY_RSA && id != EVP_PKEY_EC && id != EVP_PKEY_ED25519)
        throw Error(Code::unsupported, path + ": only RSA, ECDSA and Ed25519 keys can sign an image");
}

// The public key as OpenSSH has it on the wire (RFC 4253, section 6.6; RFC 5656, section 3.1; RFC 8709, section 4); of
// a kind that it does not know the usual form, SubjectPublicKeyInfo.
std::string ssh_bytes(EVP_PKEY* key) {
    std::string out;
    const auto text = [&](std::string_view s) {
        for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(s.size() >> shift);
        out += s;
    };
    // `size` 0: as many bytes as it needs.
    const auto number = [&](const char* name, int size) {
        BIGNUM* n = nullptr;
        if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
            throw Error(Code::internal, "the public key cannot be read: " + last_problem());
        const std::unique_ptr<BIGNUM, Freed<BIGNUM, BN_free>> owned(n);
        std::string bytes(static_cast<size_t>(size > 0 ? size : BN_num_bytes(n)), '\0');
        if (BN_bn2binpad(n, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) < 0)
            throw Error(Code::internal, "the public key cannot be read: " + last_problem());
        return bytes;
    };
    // A number is signed there.
    const auto integer = [&](const std::string& bytes) {
        text(!bytes.empty() && (bytes[0] & 0x80) != 0 ? std::string(1, '\0') + bytes : bytes);
    };
    char group[64] = "";
    if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
        text("ssh-rsa");
        integer(number(OSSL_PKEY_PARAM_RSA_E, 0));
        integer(number(OSSL_PKEY_PARAM_RSA_N, 0));
        return out;
    }
    if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) {
        unsigned char raw[32];
        size_t size = sizeof raw;
        if (EVP_PKEY_get_raw_public_key(key, raw, &size) != 1)
            throw Error(Code::internal, "the public key cannot be read: " + last_problem());
        text("ssh-ed25519");
        text({reinterpret_cast<char*>(raw), size});
        return out;
    }
    if (EVP_PKEY_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1) {
        struct Curve {
            std::string_view name, ssh;
            int size;
        };
        for (const auto& c : {Curve{"prime256v1", "nistp256", 32}, Curve{"secp384r1", "nistp384", 48},
                              Curve{"secp521r1", "nistp521", 66}}) {
            if (c.name != group) continue;
            text("ecdsa-sha2-" + std::string(c.ssh));
            text(c.ssh);
            text("\x04" + number(OSSL_PKEY_PARAM_EC_PUB_X, c.size) + number(OSSL_PKEY_PARAM_EC_PUB_Y, c.size));
            return out;
        }
    }
    ERR_clear_error();
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key, &der);
    if (size < 0) throw Error(Code::internal, "the public key cannot be encoded: " + last_problem());
    out.assign(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return out;
}

std::vector<Certificate> certificates_of(const std::string& path) {
    const Bio bio = open_file(path);
    std::vector<Certificate> out;
    while (X509* c = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) out.emplace_back(c);
    ERR_clear_error();
    if (out.empty()) throw Error(Code::invalid, path + " holds no certificate in PEM form");
    return out;
}

}  // namespace

PemKey PemKey::private_from(const std::string& path, const std::function<std::string()>& passphrase) {
    const Bio bio = open_file(path);
    std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, ask, const_cast<std::function<std::string()>*>(&passphrase)), EVP_PKEY_free);
    if (!key) throw Error(Code::invalid, path + " holds no private key that can be read: " + last_problem(), "a key in PEM form is needed, and its passphrase when it is encrypted");
    check_kind(key.get(), path);
    return PemKey(std::move(key));
}

PemKey PemKey::public_from(const std::string& path) {
    const Bio bio = open_file(path);
    std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
    if (!key) throw Error(Code::invalid, path + " holds no public key in PEM form: " + last_problem());
    check_kind(key.get(), path);
    return PemKey(std::move(key));
}

std::string PemKey::sign(std::string_view bytes) const {
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    size_t size = 0;
    if (EVP_DigestSignInit(context.get(), nullptr, digest_for(key_.get()), nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, data, bytes.size()) != 1)
        throw Error(Code::internal, "signing failed: " + last_problem());
    std::string out(size, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, data, bytes.size()) != 1)
        throw Error(Code::internal, "signing failed: " + last_problem());
    out.resize(size);
    return out;
}

bool PemKey::verifies(std::string_view bytes, std::string_view signature) const {
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    const bool good = EVP_DigestVerifyInit(context.get(), nullptr, digest_for(key_.get()), nullptr, key_.get()) == 1 &&
                      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                                       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1;
    ERR_clear_error();
    return good;
}

std::string PemKey::id() const {
    const std::string bytes = ssh_bytes(key_.get());
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_Digest(bytes.data(), bytes.size(), sum, &length, EVP_sha256(), nullptr);
    std::string text = base64({reinterpret_cast<char*>(sum), length});
    while (!text.empty() && text.back() == '=') text.pop_back();
    return "SHA256:" + text;
}

PemKey certified_key(const std::string& certificate, const std::string& intermediates, const std::string& roots) {
    const auto leaf = std::move(certificates_of(certificate).front());
    std::unique_ptr<X509_STORE, Freed<X509_STORE, X509_STORE_free>> store(X509_STORE_new());
    if (roots.empty())
        X509_STORE_set_default_paths(store.get());
    else
        for (const auto& c : certificates_of(roots)) X509_STORE_add_cert(store.get(), c.get());
    std::vector<Certificate> between;
    if (!intermediates.empty()) between = certificates_of(intermediates);
    std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> chain(sk_X509_new_null(), [](STACK_OF(X509)* s) { sk_X509_free(s); });
    for (const auto& c : between) sk_X509_push(chain.get(), c.get());
    std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX, X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
    if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), chain.get()) != 1)
        throw Error(Code::internal, "certificates cannot be checked: " + last_problem());
    // OpenSSL's purpose for code signing came with 3.2; the extended key usage is checked below.
    X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_ANY);
    if (X509_verify_cert(context.get()) != 1) {
        const int code = X509_STORE_CTX_get_error(context.get());
        ERR_clear_error();
        throw Error(Code::invalid, certificate + ": " + X509_verify_cert_error_string(code),
                    code == X509_V_ERR_CERT_HAS_EXPIRED ? "" : "--certificate-intermediates and --certificate-roots name the certificates between it and a trusted one");
    }
    if ((X509_get_extended_key_usage(leaf.get()) & XKU_CODE_SIGN) == 0 || (X509_get_extension_flags(leaf.get()) & EXFLAG_XKUSAGE) == 0)
        throw Error(Code::invalid, certificate + " is not for code signing");
    std::shared_ptr<EVP_PKEY> key(X509_get_pubkey(leaf.get()), EVP_PKEY_free);
    if (!key) throw Error(Code::invalid, certificate + " has no key that can be used: " + last_problem());
    check_kind(key.get(), certificate);
    return PemKey(std::move(key));
}

std::string dsse_envelope(std::string_view payload, const PemKey& key) {
    return std::string("{\"payloadType\":\"") + payload_type + "\",\"payload\":\"" + base64(payload) + "\",\"signatures\":[{\"keyid\":\"" + key.id() +
           "\",\"sig\":\"" + base64(key.sign(encoded(payload_type, payload))) + "\"}]}";
}

bool parse_envelope(std::string_view data, Envelope& out) {
    const size_t first = data.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || data[first] != '{') return false;
    const singularity::json::Document document(data, "the signature", 16 << 20);
    const auto root = document.root();
    out.type = root["payloadType"].text();
    if (out.type != payload_type) return false;
    const auto payload = unbase64(root["payload"].text());
    if (!payload) throw Error(Code::corrupt, "the signature's payload is not base64");
    out.payload = *payload;
    for (const auto s : root["signatures"].list()) {
        const auto bytes = unbase64(s["sig"].text());
        if (!bytes) throw Error(Code::corrupt, "a signature is not base64");
        out.signatures.push_back(*bytes);
    }
    return true;
}

bool accepted(const Envelope& envelope, const PemKey& key) {
    const std::string bytes = encoded(envelope.type, envelope.payload);
    return std::any_of(envelope.signatures.begin(), envelope.signatures.end(), [&](const std::string& s) { return key.verifies(bytes, s); });
}

}  // namespace signing
