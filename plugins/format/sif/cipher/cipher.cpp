#include "sif/cipher/cipher.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <singularity/error.hpp>
#include <vector>

#include "sif/cipher/luks.hpp"

struct sif_key {
    std::array<uint8_t, 32> content{};  // of AES-256-GCM
    ~sif_key() { OPENSSL_cleanse(content.data(), content.size()); }
};

struct sif_volume : luks::Volume {
    using luks::Volume::Volume;
};

namespace {

using singularity::Code;
using singularity::Error;
using Bytes = std::vector<uint8_t>;
using Key = std::array<uint8_t, 32>;

constexpr size_t iv_size = 16, tag_size = 16;
constexpr uint64_t scrypt_default = 65536;             // N of gocryptfs
constexpr uint64_t scrypt_memory = uint64_t{1} << 30;  // a hostile configuration may not ask for more

template <class T, void (*Free)(T*)>
struct Deleter {
    void operator()(T* p) const { Free(p); }
};
template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, Free>>;
using Context = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

[[noreturn]] void failed(const char* what) {
    char text[256] = "";
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    throw Error(Code::internal, std::string(what) + ": " + text);
}

// ---- Keys ------------------------------------------------------------------------------------------

Key expanded(const Key& from) {
    static constexpr char info[] = "AES-GCM file content encryption";
    const Owned<EVP_KDF, EVP_KDF_free> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    const Owned<EVP_KDF_CTX, EVP_KDF_CTX_free> context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    if (!context) failed("HKDF is not available");
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<uint8_t*>(from.data()), from.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(info), sizeof info - 1),
        OSSL_PARAM_construct_end()};
    Key out;
    if (EVP_KDF_derive(context.get(), out.data(), out.size(), params) != 1) failed("HKDF failed");
    return out;
}

Key of_password(std::string_view password, const Bytes& salt, uint64_t n, uint64_t r, uint64_t p) {
    if (n < 2 || (n & (n - 1)) != 0 || r == 0 || p == 0 || r > 64 || p > 16 || n > scrypt_memory / 128 / r)
        throw Error(Code::limit, "its key asks for scrypt with N=" + std::to_string(n) + ", r=" + std::to_string(r) +
                                     ", p=" + std::to_string(p) + ", which is out of bounds");
    Key out;
    if (EVP_PBE_scrypt(password.data(), password.size(), salt.data(), salt.size(), n, r, p,
                       scrypt_memory + (uint64_t{64} << 20), out.data(), out.size()) != 1)
        failed("scrypt failed");
    return out;
}

// What is authenticated beside a block: its number, big-endian, and the file's id.
std::array<uint8_t, 24> beside(uint64_t number, const uint8_t* id) {
    std::array<uint8_t, 24> out{};
    for (int i = 0; i < 8; ++i) out[static_cast<size_t>(i)] = static_cast<uint8_t>(number >> (56 - 8 * i));
    if (id) std::memcpy(out.data() + 8, id, 16);
    return out;
}

class Gcm {
public:
    Gcm(const Key& key, bool encrypt) : encrypt_(encrypt), context_(EVP_CIPHER_CTX_new()) {
        if (!context_ ||
            EVP_CipherInit_ex2(context_.get(), EVP_aes_256_gcm(), nullptr, nullptr, encrypt ? 1 : 0, nullptr) != 1 ||
            EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_IVLEN, iv_size, nullptr) != 1 ||
            EVP_CipherInit_ex2(context_.get(), nullptr, key.data(), nullptr, encrypt ? 1 : 0, nullptr) != 1)
            failed("AES-256-GCM is not available");
    }
    // `in`: IV, cipher text, tag. False: it was not sealed with this key.
    bool open(const uint8_t* in, size_t size, uint64_t number, const uint8_t* id, uint8_t* out) {
        const size_t plain = size - iv_size - tag_size;
        start(in, number, id);
        int n = 0;
        if (EVP_CipherUpdate(context_.get(), out, &n, in + iv_size, static_cast<int>(plain)) != 1 ||
            EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, tag_size,
                                const_cast<uint8_t*>(in + iv_size + plain)) != 1)
            failed("AES-256-GCM failed");
        return EVP_CipherFinal_ex(context_.get(), out + n, &n) == 1;
    }
    void seal(const uint8_t* in, size_t size, uint64_t number, const uint8_t* id, uint8_t* out) {
        if (RAND_bytes(out, iv_size) != 1) failed("there are no random numbers");
        start(out, number, id);
        int n = 0;
        if (EVP_CipherUpdate(context_.get(), out + iv_size, &n, in, static_cast<int>(size)) != 1 ||
            EVP_CipherFinal_ex(context_.get(), out + iv_size + n, &n) != 1 ||
            EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, tag_size, out + iv_size + size) != 1)
            failed("AES-256-GCM failed");
    }

private:
    void start(const uint8_t* iv, uint64_t number, const uint8_t* id) {
        const auto aad = beside(number, id);
        int n = 0;
        if (EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, iv, encrypt_ ? 1 : 0, nullptr) != 1 ||
            EVP_CipherUpdate(context_.get(), nullptr, &n, aad.data(), id ? 24 : 8) != 1)
            failed("AES-256-GCM failed");
    }

    const bool encrypt_;
    Context context_;
};

// ---- gocryptfs.conf --------------------------------------------------------------------------------

Bytes base64(const char* text, size_t size, const char* what) {
    if (size == 0 || size % 4 != 0 || size > 4096)
        throw Error(Code::corrupt, std::string("gocryptfs.conf has no valid ") + what);
    Bytes out(size / 4 * 3);
    const int n = EVP_DecodeBlock(out.data(), reinterpret_cast<const uint8_t*>(text), static_cast<int>(size));
    if (n < 0) throw Error(Code::corrupt, std::string("gocryptfs.conf has no valid ") + what);
    out.resize(static_cast<size_t>(n) - static_cast<size_t>(std::count(text + size - 2, text + size, '=')));
    return out;
}

std::string base64(const uint8_t* bytes, size_t size) {
    std::string out(size / 3 * 4 + 5, '\0');
    out.resize(
        static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<uint8_t*>(out.data()), bytes, static_cast<int>(size))));
    return out;
}

struct Conf {
    Bytes key, salt;
    uint64_t n = 0, r = 0, p = 0;

    static Conf parse(std::string_view text) {
        const auto wrong = [](const std::string& what) { return Error(Code::corrupt, "its gocryptfs.conf " + what); };
        rapidjson::Document d;
        d.Parse(text.data(), text.size());
        if (d.HasParseError() || !d.IsObject()) throw wrong("is not a JSON object");
        const auto member = [&](const rapidjson::Value& from, const char* name) -> const rapidjson::Value& {
            const auto it = from.FindMember(name);
            if (it == from.MemberEnd()) throw wrong(std::string("has no ") + name);
            return it->value;
        };
        const auto bytes = [&](const rapidjson::Value& from, const char* name) {
            const rapidjson::Value& v = member(from, name);
            if (!v.IsString()) throw wrong(std::string("has no valid ") + name);
            return base64(v.GetString(), v.GetStringLength(), name);
        };
        const auto number = [&](const rapidjson::Value& from, const char* name) {
            const rapidjson::Value& v = member(from, name);
            if (!v.IsUint64()) throw wrong(std::string("has no valid ") + name);
            return v.GetUint64();
        };
        if (number(d, "Version") != 2)
            throw Error(Code::unsupported, "it is encrypted by version " + std::to_string(number(d, "Version")) +
                                               " of gocryptfs' format, not 2");
        bool hkdf = false, long_iv = false;
        const rapidjson::Value& flags = member(d, "FeatureFlags");
        if (!flags.IsArray()) throw wrong("has no valid FeatureFlags");
        for (const auto& f : flags.GetArray()) {
            if (!f.IsString()) throw wrong("has no valid FeatureFlags");
            const std::string_view flag(f.GetString(), f.GetStringLength());
            hkdf = hkdf || flag == "HKDF";
            long_iv = long_iv || flag == "GCMIV128";
            // What concerns names alone is no matter: there is one file, and its name is not used.
            if (flag == "AESSIV" || flag == "XChaCha20Poly1305" || flag == "FIDO2")
                throw Error(Code::unsupported, "it is encrypted with gocryptfs' feature " + std::string(flag) +
                                                   ", which is not read here");
        }
        if (!hkdf || !long_iv)
            throw Error(Code::unsupported,
                        "it is encrypted by a gocryptfs without HKDF and GCMIV128, which is not read here");
        Conf out;
        const rapidjson::Value& scrypt = member(d, "ScryptObject");
        if (!scrypt.IsObject()) throw wrong("has no valid ScryptObject");
        out.salt = bytes(scrypt, "Salt");
        out.n = number(scrypt, "N");
        out.r = number(scrypt, "R");
        out.p = number(scrypt, "P");
        if (number(scrypt, "KeyLen") != 32) throw wrong("has no key of 32 bytes");
        out.key = bytes(d, "EncryptedKey");
        if (out.key.size() != iv_size + 32 + tag_size) throw wrong("has no key of 32 bytes");
        return out;
    }

    std::string text() const {
        rapidjson::StringBuffer buffer;
        rapidjson::PrettyWriter<rapidjson::StringBuffer> w(buffer);
        w.SetIndent('\t', 1);
        w.StartObject();
        w.Key("Creator"), w.String("singularity");
        w.Key("EncryptedKey"), w.String(base64(key.data(), key.size()).c_str());
        w.Key("ScryptObject"), w.StartObject();
        w.Key("Salt"), w.String(base64(salt.data(), salt.size()).c_str());
        w.Key("N"), w.Uint64(n);
        w.Key("R"), w.Uint64(r);
        w.Key("P"), w.Uint64(p);
        w.Key("KeyLen"), w.Uint(32);
        w.EndObject();
        w.Key("Version"), w.Uint(2);
        w.Key("FeatureFlags"), w.StartArray();
        for (const char* flag : {"HKDF", "GCMIV128", "PlaintextNames"}) w.String(flag);
        w.EndArray();
        w.EndObject();
        return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
    }
};

template <class F>
void with_secret(Key& key, F&& use) {
    try {
        use();
    } catch (...) {
        OPENSSL_cleanse(key.data(), key.size());
        throw;
    }
    OPENSSL_cleanse(key.data(), key.size());
}

void put(const std::string& text, char* out, uint64_t capacity) {
    if (text.size() >= capacity)
        throw Error(Code::limit, "a text of " + std::to_string(text.size()) + " bytes is too long");
    std::memcpy(out, text.c_str(), text.size() + 1);
}

int32_t open(const char* conf_text, uint64_t conf_size, const char* password, uint64_t password_size, sif_key** out,
             sg_error* err) {
    return singularity::guard(err, [&] {
        const Conf conf = Conf::parse({conf_text, static_cast<size_t>(conf_size)});
        Key hashed = of_password({password, static_cast<size_t>(password_size)}, conf.salt, conf.n, conf.r, conf.p),
            master{};
        auto key = std::make_unique<sif_key>();
        with_secret(hashed, [&] {
            Key wrapping = expanded(hashed);
            with_secret(wrapping, [&] {
                if (!Gcm(wrapping, false).open(conf.key.data(), conf.key.size(), 0, nullptr, master.data()))
                    throw Error(Code::permission, "the passphrase or key is not the right one");
            });
        });
        with_secret(master, [&] { key->content = expanded(master); });
        *out = key.release();
    });
}

int32_t make(const char* password, uint64_t password_size, char* conf_text, uint64_t capacity, uint8_t* header,
             sif_key** out, sg_error* err) {
    return singularity::guard(err, [&] {
        Conf conf;
        conf.salt.resize(32);
        conf.n = scrypt_default, conf.r = 8, conf.p = 1;
        conf.key.resize(iv_size + 32 + tag_size);
        header[0] = 0, header[1] = 2;
        Key master{};
        if (RAND_bytes(conf.salt.data(), 32) != 1 || RAND_bytes(header + 2, 16) != 1 ||
            RAND_priv_bytes(master.data(), 32) != 1)
            failed("there are no random numbers");
        auto key = std::make_unique<sif_key>();
        with_secret(master, [&] {
            Key hashed = of_password({password, static_cast<size_t>(password_size)}, conf.salt, conf.n, conf.r, conf.p);
            with_secret(hashed, [&] {
                Key wrapping = expanded(hashed);
                with_secret(wrapping, [&] {
                    Gcm(wrapping, true).seal(master.data(), master.size(), 0, nullptr, conf.key.data());
                });
            });
            key->content = expanded(master);
        });
        put(conf.text(), conf_text, capacity);
        *out = key.release();
    });
}

int32_t decrypt(const sif_key* key, const uint8_t* header, uint64_t first, const uint8_t* in, uint64_t size,
                uint8_t* out, sg_error* err) {
    return singularity::guard(err, [&] {
        Gcm gcm(key->content, false);
        for (; size > 0; ++first) {
            const size_t n = static_cast<size_t>(std::min<uint64_t>(size, SIF_CIPHER_STORED));
            if (n <= iv_size + tag_size) throw Error(Code::corrupt, "an encrypted block is cut short");
            // A hole of the encrypted file is one of the plain file.
            const bool hole = n == SIF_CIPHER_STORED && std::all_of(in, in + n, [](uint8_t c) { return c == 0; });
            if (hole)
                std::memset(out, 0, SIF_CIPHER_BLOCK);
            else if (!gcm.open(in, n, first, header + 2, out))
                throw Error(Code::corrupt,
                            "encrypted block " + std::to_string(first) + " was changed since it was written");
            in += n, size -= n, out += n - iv_size - tag_size;
        }
    });
}

int32_t encrypt(const sif_key* key, const uint8_t* header, uint64_t first, const uint8_t* in, uint64_t size,
                uint8_t* out, sg_error* err) {
    return singularity::guard(err, [&] {
        Gcm gcm(key->content, true);
        for (; size > 0; ++first) {
            const size_t n = static_cast<size_t>(std::min<uint64_t>(size, SIF_CIPHER_BLOCK));
            gcm.seal(in, n, first, header + 2, out);
            in += n, size -= n, out += n + iv_size + tag_size;
        }
    });
}

int32_t random_password(char* out, sg_error* err) {
    return singularity::guard(err, [&] {
        uint8_t bytes[16];
        if (RAND_priv_bytes(bytes, sizeof bytes) != 1) failed("there are no random numbers");
        static constexpr char digits[] = "0123456789abcdef";
        for (size_t i = 0; i < sizeof bytes; ++i)
            out[2 * i] = digits[bytes[i] >> 4], out[2 * i + 1] = digits[bytes[i] & 15];
        out[32] = '\0';
        OPENSSL_cleanse(bytes, sizeof bytes);
    });
}

// ---- RSA -------------------------------------------------------------------------------------------

using PKey = Owned<EVP_PKEY, EVP_PKEY_free>;

PKey rsa_key(const char* pem, bool private_one) {
    const std::string_view text(pem);
    EVP_PKEY* out = nullptr;
    // Never asks: a key with a password is refused, as other tools do.
    const Owned<OSSL_DECODER_CTX, OSSL_DECODER_CTX_free> decoder(OSSL_DECODER_CTX_new_for_pkey(
        &out, "PEM", nullptr, "RSA", private_one ? EVP_PKEY_KEYPAIR : 0, nullptr, nullptr));
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    size_t left = text.size();
    if (!decoder ||
        OSSL_DECODER_CTX_set_passphrase(decoder.get(), reinterpret_cast<const unsigned char*>(""), 0) != 1 ||
        OSSL_DECODER_from_data(decoder.get(), &at, &left) != 1 || !out) {
        ERR_clear_error();
        throw Error(Code::invalid, std::string("the PEM text holds no ") + (private_one ? "private " : "") + "RSA key",
                    private_one ? "Give the private key (BEGIN RSA PRIVATE KEY), without a password." : "");
    }
    return PKey(out);
}

class Oaep {
public:
    Oaep(const PKey& key, bool encrypt) : context_(EVP_PKEY_CTX_new(key.get(), nullptr)), encrypt_(encrypt) {
        if (!context_ ||
            (encrypt ? EVP_PKEY_encrypt_init(context_.get()) : EVP_PKEY_decrypt_init(context_.get())) != 1 ||
            EVP_PKEY_CTX_set_rsa_padding(context_.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
            EVP_PKEY_CTX_set_rsa_oaep_md(context_.get(), EVP_sha256()) != 1 ||
            EVP_PKEY_CTX_set_rsa_mgf1_md(context_.get(), EVP_sha256()) != 1)
            failed("RSA-OAEP is not available");
    }
    // Empty: it cannot be decrypted with this key.
    Bytes run(const uint8_t* in, size_t size) {
        size_t n = 0;
        const auto f = encrypt_ ? EVP_PKEY_encrypt : EVP_PKEY_decrypt;
        if (f(context_.get(), nullptr, &n, in, size) != 1) failed("RSA-OAEP failed");
        Bytes out(n);
        if (f(context_.get(), out.data(), &n, in, size) != 1) {
            ERR_clear_error();
            return {};
        }
        out.resize(n);
        return out;
    }

private:
    Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context_;
    const bool encrypt_;
};

int32_t wrap(const char* pem, const char* password, char* message, uint64_t capacity, sg_error* err) {
    return singularity::guard(err, [&] {
        const PKey key = rsa_key(pem, false);
        const size_t modulus = static_cast<size_t>(EVP_PKEY_get_size(key.get())), length = std::strlen(password);
        if (modulus <= 66) throw Error(Code::invalid, "the RSA key is too short");
        Oaep oaep(key, true);
        Bytes all;
        for (size_t at = 0; at < length; at += modulus - 66) {
            const Bytes piece =
                oaep.run(reinterpret_cast<const uint8_t*>(password) + at, std::min(length - at, modulus - 66));
            if (piece.empty()) throw Error(Code::invalid, "the RSA key cannot encrypt");
            all.insert(all.end(), piece.begin(), piece.end());
        }
        const Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> octets(ASN1_OCTET_STRING_new());
        if (!octets || ASN1_OCTET_STRING_set(octets.get(), all.data(), static_cast<int>(all.size())) != 1)
            failed("out of memory");
        unsigned char* der = nullptr;
        const int size = i2d_ASN1_OCTET_STRING(octets.get(), &der);
        const Owned<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
        const bool written = size > 0 && out && PEM_write_bio(out.get(), "MESSAGE", "", der, size) > 0;
        OPENSSL_free(der);
        if (!written) failed("cannot write PEM");
        char* text = nullptr;
        const long n = BIO_get_mem_data(out.get(), &text);
        put(std::string(text, static_cast<size_t>(n)), message, capacity);
    });
}

int32_t unwrap(const char* pem, const char* message, char* password, uint64_t capacity, uint64_t* size_out, sg_error* err) {
    return singularity::guard(err, [&] {
        const Owned<BIO, BIO_free_all> in(BIO_new_mem_buf(message, static_cast<int>(std::strlen(message))));
        char *name = nullptr, *header = nullptr;
        unsigned char* data = nullptr;
        long size = 0;
        const bool is_pem = in && PEM_read_bio(in.get(), &name, &header, &data, &size) == 1;
        const bool is_message = is_pem && std::strcmp(name, "MESSAGE") == 0;
        const unsigned char* at = data;
        const Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> octets(
            is_message ? d2i_ASN1_OCTET_STRING(nullptr, &at, size) : nullptr);
        OPENSSL_free(name), OPENSSL_free(header), OPENSSL_free(data);
        ERR_clear_error();
        if (!octets)
            throw Error(Code::corrupt, "the object that holds the image's key is no PEM message with an octet string");
        const PKey key = rsa_key(pem, true);
        const size_t modulus = static_cast<size_t>(EVP_PKEY_get_size(key.get())),
                     length = static_cast<size_t>(ASN1_STRING_length(octets.get()));
        const uint8_t* bytes = ASN1_STRING_get0_data(octets.get());
        if (length == 0 || length % modulus != 0)
            throw Error(Code::permission, "the RSA key is not the one that the image was encrypted for");
        Oaep oaep(key, false);
        std::string out;
        for (size_t i = 0; i < length; i += modulus) {
            Bytes piece = oaep.run(bytes + i, modulus);
            if (piece.empty())
                throw Error(Code::permission, "the RSA key is not the one that the image was encrypted for");
            out.append(piece.begin(), piece.end());
            OPENSSL_cleanse(piece.data(), piece.size());
        }
        put(out, password, capacity);
        *size_out = out.size();
        OPENSSL_cleanse(out.data(), out.size());
    });
}

void close_key(sif_key* key) { delete key; }

int32_t luks_open(sif_read_fn read, void* arg, uint64_t size, const char* password, uint64_t password_size, sif_volume** out, sif_volume_facts* facts,
                  sg_error* err) {
    return singularity::guard(err, [&] {
        const auto get = [&](uint64_t offset, void* data, uint64_t n) {
            if (read(arg, offset, data, n) != 0) throw Error(Code::corrupt, "the encrypted image is cut short");
        };
        auto volume = std::make_unique<sif_volume>(get, size, std::string_view(password, static_cast<size_t>(password_size)));
        *facts = {volume->offset(), volume->size(), volume->sector()};
        *out = volume.release();
    });
}
void luks_close(sif_volume* volume) { delete volume; }
int32_t luks_decrypt(const sif_volume* volume, uint64_t first, uint8_t* data, uint64_t size, sg_error* err) {
    return singularity::guard(err, [&] { volume->decrypt(first, data, size); });
}

const sif_cipher_v1 table = {open, make, close_key, decrypt, encrypt, random_password, wrap, unwrap, luks_open, luks_close, luks_decrypt};

}  // namespace

extern "C" SG_EXPORT const sif_cipher_v1* sif_cipher(void) { return &table; }
