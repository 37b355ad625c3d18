#include "sif/cipher/luks.hpp"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <singularity/error.hpp>

namespace luks {
namespace {

using rapidjson::Value;
using singularity::Code;
using singularity::Error;
using Bytes = std::vector<uint8_t>;

constexpr size_t binary_header = 4096, checksum_at = 448, checksum_room = 64;
constexpr uint64_t largest_header = 4u << 20;  // the specification's own limit
constexpr unsigned stripes = 4000;
constexpr uint32_t keyslot_sector = 512;
// A hostile header may not ask for more. cryptsetup's own limits are 4 GiB of memory and about two seconds.
constexpr uint64_t most_argon2_kib = 4u << 20, most_argon2_work = 64u << 20;  // KiB; KiB times passes
constexpr uint64_t most_iterations = 100'000'000;

[[noreturn]] void corrupt(const std::string& why) { throw Error(Code::corrupt, "its LUKS header is damaged: " + why); }
[[noreturn]] void unsupported(const std::string& what) {
    throw Error(Code::unsupported, "its LUKS volume uses " + what + ", which is not read here",
                "Build it again with --encrypt: the new image can be read by everybody who has the key.");
}

struct Cleansed : Bytes {
    using Bytes::Bytes;
    ~Cleansed() { OPENSSL_cleanse(data(), size()); }
};

const EVP_MD* hash_named(const std::string& name) {
    for (const char* known : {"sha1", "sha256", "sha512"})
        if (name == known) return EVP_get_digestbyname(known);
    unsupported("the hash " + name);
}

uint64_t big_endian(const uint8_t* at, unsigned bytes) {
    uint64_t out = 0;
    for (unsigned i = 0; i < bytes; ++i) out = out << 8 | at[i];
    return out;
}

// ---- JSON ----------------------------------------------------------------------------------------

const Value& member(const Value& object, const char* name) {
    if (!object.IsObject()) corrupt(std::string("no object around '") + name + "'");
    const auto it = object.FindMember(name);
    if (it == object.MemberEnd()) corrupt(std::string("'") + name + "' is missing");
    return it->value;
}
std::string text(const Value& object, const char* name) {
    const Value& v = member(object, name);
    if (!v.IsString()) corrupt(std::string("'") + name + "' is no text");
    return {v.GetString(), v.GetStringLength()};
}
// Numbers of 64 bits are texts in LUKS2's JSON.
uint64_t number(const Value& object, const char* name) {
    const Value& v = member(object, name);
    if (v.IsUint64()) return v.GetUint64();
    if (!v.IsString() || v.GetStringLength() == 0 || v.GetStringLength() > 19)
        corrupt(std::string("'") + name + "' is no number");
    uint64_t out = 0;
    for (const char c : std::string_view(v.GetString(), v.GetStringLength())) {
        if (c < '0' || c > '9') corrupt(std::string("'") + name + "' is no number");
        out = out * 10 + static_cast<uint64_t>(c - '0');
    }
    return out;
}
Bytes base64(const Value& object, const char* name) {
    const std::string in = text(object, name);
    if (in.empty() || in.size() % 4 != 0 || in.size() > 4096) corrupt(std::string("'") + name + "' is no base64");
    Bytes out(in.size() / 4 * 3);
    const int n = EVP_DecodeBlock(out.data(), reinterpret_cast<const uint8_t*>(in.data()), static_cast<int>(in.size()));
    if (n < 0) corrupt(std::string("'") + name + "' is no base64");
    out.resize(static_cast<size_t>(n) - static_cast<size_t>(std::count(in.end() - 2, in.end(), '=')));
    return out;
}
bool names(const Value& list, std::string_view name) {
    if (!list.IsArray()) corrupt("a list is none");
    return std::any_of(list.Begin(), list.End(), [&](const Value& v) { return v.IsString() && name == v.GetString(); });
}

// ---- Header --------------------------------------------------------------------------------------

// The JSON text of the copy at `at`; "" when there is no whole one.
std::string header_at(const Read& read, uint64_t at, uint64_t size, const char* magic) {
    if (at > size || size - at < binary_header) return {};
    Bytes head(binary_header);
    read(at, head.data(), head.size());
    if (std::memcmp(head.data(), magic, 6) != 0) return {};
    if (const uint64_t version = big_endian(head.data() + 6, 2); version != 2)
        unsupported("version " + std::to_string(version));
    const uint64_t length = big_endian(head.data() + 8, 8);
    if (length <= binary_header || length > largest_header || length > size - at ||
        big_endian(head.data() + 256, 8) != at)
        return {};
    std::string json(static_cast<size_t>(length - binary_header), '\0');
    read(at + binary_header, json.data(), json.size());
    const std::string hash(reinterpret_cast<const char*>(head.data() + 72),
                           strnlen(reinterpret_cast<const char*>(head.data() + 72), 32));
    uint8_t stored[checksum_room], sum[EVP_MAX_MD_SIZE];
    std::memcpy(stored, head.data() + checksum_at, sizeof stored);
    std::memset(head.data() + checksum_at, 0, checksum_room);
    unsigned n = 0;
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    if (!context || EVP_DigestInit_ex(context.get(), hash_named(hash), nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), head.data(), head.size()) != 1 ||
        EVP_DigestUpdate(context.get(), json.data(), json.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), sum, &n) != 1)
        throw Error(Code::internal, "hashing failed");
    if (n > checksum_room || CRYPTO_memcmp(stored, sum, n) != 0) return {};
    json.resize(strnlen(json.data(), json.size()));
    return json;
}

std::string find_header(const Read& read, uint64_t size) {
    std::string json = header_at(read, 0, size, "LUKS\xba\xbe");
    // Where the second copy may stand: the sizes that a header may have.
    for (uint64_t at = 0x4000; json.empty() && at <= largest_header; at *= 2)
        json = header_at(read, at, size, "SKUL\xba\xbe");
    if (json.empty()) corrupt("neither copy of it is whole");
    return json;
}

// ---- Keys ----------------------------------------------------------------------------------------

void derive(const Value& kdf, std::string_view passphrase, Cleansed& out) {
    const std::string type = text(kdf, "type");
    const Bytes salt = base64(kdf, "salt");
    if (type == "pbkdf2") {
        const uint64_t iterations = number(kdf, "iterations");
        if (iterations == 0 || iterations > most_iterations)
            throw Error(Code::limit, "its key asks for " + std::to_string(iterations) +
                                         " iterations of PBKDF2, which is out of bounds");
        if (PKCS5_PBKDF2_HMAC(passphrase.data(), static_cast<int>(passphrase.size()), salt.data(),
                              static_cast<int>(salt.size()), static_cast<int>(iterations),
                              hash_named(text(kdf, "hash")), static_cast<int>(out.size()), out.data()) != 1)
            throw Error(Code::internal, "PBKDF2 failed");
        return;
    }
    if (type != "argon2id" && type != "argon2i") unsupported("the key derivation " + type);
    const uint64_t passes = number(kdf, "time"), memory = number(kdf, "memory"), lanes = number(kdf, "cpus");
    if (passes == 0 || memory == 0 || lanes == 0 || lanes > 64 || memory > most_argon2_kib ||
        passes > most_argon2_work / memory)
        throw Error(Code::limit, "its key asks for Argon2 with " + std::to_string(memory) + " KiB of memory and " +
                                     std::to_string(passes) + " passes, which is out of bounds");
    const auto f = type == "argon2id" ? argon2id_hash_raw : argon2i_hash_raw;
    const int r = f(static_cast<uint32_t>(passes), static_cast<uint32_t>(memory), static_cast<uint32_t>(lanes),
                    passphrase.data(), passphrase.size(), salt.data(), salt.size(), out.data(), out.size());
    if (r == ARGON2_MEMORY_ALLOCATION_ERROR)
        throw Error(Code::limit,
                    "there is no memory to unlock it: its key asks for " + std::to_string(memory) + " KiB");
    if (r != ARGON2_OK)
        throw Error(Code::corrupt, std::string("its key cannot be derived: ") + argon2_error_message(r));
}

// dm-crypt's "xts-plain64": the tweak is the number of the sector, counted in 512 bytes, little-endian.
void decrypt_sectors(const Bytes& key, uint64_t number, uint32_t sector, uint8_t* data, uint64_t size) {
    const EVP_CIPHER* cipher = key.size() == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts();
    const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    if (!context || EVP_DecryptInit_ex2(context.get(), cipher, key.data(), nullptr, nullptr) != 1)
        throw Error(Code::corrupt, "its key is none for AES-XTS");
    for (uint64_t at = 0; at < size; at += sector, number += sector / 512) {
        uint8_t tweak[16] = {};
        for (unsigned i = 0; i < 8; ++i) tweak[i] = static_cast<uint8_t>(number >> (8 * i));
        int n = 0;
        if (EVP_DecryptInit_ex2(context.get(), nullptr, nullptr, tweak, nullptr) != 1 ||
            EVP_DecryptUpdate(context.get(), data + at, &n, data + at, static_cast<int>(sector)) != 1 ||
            n != static_cast<int>(sector))
            throw Error(Code::internal, "AES-XTS failed");
    }
}

// The hash of each piece, with the piece's number in front of it.
void diffuse(Cleansed& block, const EVP_MD* hash) {
    const auto piece = static_cast<size_t>(EVP_MD_get_size(hash));
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    uint8_t sum[EVP_MAX_MD_SIZE];
    for (size_t at = 0, i = 0; at < block.size(); at += piece, ++i) {
        const uint8_t number[4] = {static_cast<uint8_t>(i >> 24), static_cast<uint8_t>(i >> 16),
                                   static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)};
        const size_t n = std::min(piece, block.size() - at);
        if (!context || EVP_DigestInit_ex(context.get(), hash, nullptr) != 1 ||
            EVP_DigestUpdate(context.get(), number, sizeof number) != 1 ||
            EVP_DigestUpdate(context.get(), block.data() + at, n) != 1 ||
            EVP_DigestFinal_ex(context.get(), sum, nullptr) != 1)
            throw Error(Code::internal, "hashing failed");
        std::memcpy(block.data() + at, sum, n);
    }
    OPENSSL_cleanse(sum, sizeof sum);
}

void merge_stripes(const Cleansed& all, const EVP_MD* hash, Cleansed& key) {
    std::fill(key.begin(), key.end(), uint8_t{0});
    for (unsigned i = 0; i < stripes; ++i) {
        for (size_t j = 0; j < key.size(); ++j) key[j] ^= all[i * key.size() + j];
        if (i + 1 < stripes) diffuse(key, hash);
    }
}

void need_xts(const std::string& encryption, uint64_t key_size) {
    if (encryption != "aes-xts-plain64") unsupported("the cipher " + encryption);
    if (key_size != 32 && key_size != 64) unsupported("a key of " + std::to_string(key_size) + " bytes");
}

// What the passphrase makes of the slot; only a digest says whether it is right.
Cleansed open_slot(const Value& slot, const Read& read, uint64_t size, std::string_view passphrase) {
    if (const std::string type = text(slot, "type"); type != "luks2") unsupported("a key slot of type " + type);
    const Value &area = member(slot, "area"), &af = member(slot, "af");
    const uint64_t key_size = number(slot, "key_size"), area_key_size = number(area, "key_size");
    need_xts(text(area, "encryption"), area_key_size);
    if (key_size != 32 && key_size != 64) unsupported("a key of " + std::to_string(key_size) + " bytes");
    if (text(area, "type") != "raw" || text(af, "type") != "luks1" || number(af, "stripes") != stripes)
        unsupported("another way to store keys");
    const uint64_t bytes = (key_size * stripes + keyslot_sector - 1) / keyslot_sector * keyslot_sector,
                   at = number(area, "offset");
    if (number(area, "size") < bytes || at > size || bytes > size - at) corrupt("a key slot lies outside of it");
    Cleansed area_key(static_cast<size_t>(area_key_size)), material(static_cast<size_t>(bytes)),
        key(static_cast<size_t>(key_size));
    derive(member(slot, "kdf"), passphrase, area_key);
    read(at, material.data(), bytes);
    decrypt_sectors(area_key, 0, keyslot_sector, material.data(), bytes);
    merge_stripes(material, hash_named(text(af, "hash")), key);
    return key;
}

bool is_right(const Value& digest, const Cleansed& key) {
    const Bytes wanted = base64(digest, "digest");
    Cleansed got(wanted.size());
    derive(digest, {reinterpret_cast<const char*>(key.data()), key.size()}, got);
    return CRYPTO_memcmp(wanted.data(), got.data(), wanted.size()) == 0;
}

}  // namespace

Volume::Volume(const Read& read, uint64_t size, std::string_view passphrase) {
    const std::string json = find_header(read, size);
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (d.HasParseError() || !d.IsObject()) corrupt("its JSON cannot be read");
    if (d.HasMember("config") && d["config"].IsObject() && d["config"].HasMember("requirements"))
        unsupported("features that a newer cryptsetup has added");
    const Value& segments = member(d, "segments");
    if (!segments.IsObject() || segments.MemberCount() != 1) unsupported("several segments");
    const Value& segment = segments.MemberBegin()->value;
    const std::string segment_name = segments.MemberBegin()->name.GetString();
    if (const std::string type = text(segment, "type"); type != "crypt") unsupported("a segment of type " + type);
    if (segment.HasMember("integrity")) unsupported("integrity tags");
    offset_ = number(segment, "offset");
    tweak_ = number(segment, "iv_tweak");
    const uint64_t sector = number(segment, "sector_size");
    if (sector != 512 && sector != 1024 && sector != 2048 && sector != 4096)
        corrupt("sectors of " + std::to_string(sector) + " bytes");
    sector_ = static_cast<uint32_t>(sector);
    if (offset_ > size || offset_ % 512 != 0) corrupt("its data lies outside of it");
    const uint64_t there = size - offset_;
    size_ = text(segment, "size") == "dynamic" ? there : number(segment, "size");
    if (size_ > there) corrupt("its data lies outside of it");
    size_ -= size_ % sector_;
    const Value &slots = member(d, "keyslots"), &digests = member(d, "digests");
    if (!slots.IsObject() || !digests.IsObject()) corrupt("it has no list of keys");
    unsigned tried = 0;
    for (const auto& slot : slots.GetObject())
        for (const auto& digest : digests.GetObject()) {
            if (!names(member(digest.value, "keyslots"), slot.name.GetString()) ||
                !names(member(digest.value, "segments"), segment_name))
                continue;
            if (++tried > 32) corrupt("more key slots than there may be");
            Cleansed key = open_slot(slot.value, read, size, passphrase);
            if (text(digest.value, "type") != "pbkdf2") unsupported("a digest of type " + text(digest.value, "type"));
            if (!is_right(digest.value, key)) continue;
            need_xts(text(segment, "encryption"), key.size());
            key_ = key;
            return;
        }
    if (tried == 0) corrupt("it has no key slot");
    throw Error(Code::permission, "the passphrase or key is not the right one");
}

Volume::~Volume() { OPENSSL_cleanse(key_.data(), key_.size()); }

void Volume::decrypt(uint64_t first, uint8_t* data, uint64_t size) const {
    decrypt_sectors(key_, tweak_ + first * (sector_ / 512), sector_, data, size);
}

}  // namespace luks
