#include "signing/integrity.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include <singularity/json.hpp>

namespace signing {

namespace {

constexpr uint64_t message_limit = 16 << 20;

class Digest {
public:
    explicit Digest(const char* algorithm) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        const EVP_MD* kind = EVP_get_digestbyname(algorithm);
        if (!kind || EVP_DigestInit_ex(context_.get(), kind, nullptr) != 1)
            throw Error(Code::unsupported, std::string("the digest ") + algorithm + " is not available");
    }
    void add(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
    std::string hex() {
        unsigned char sum[EVP_MAX_MD_SIZE];
        unsigned int size = 0;
        EVP_DigestFinal_ex(context_.get(), sum, &size);
        static const char* digits = "0123456789abcdef";
        std::string out;
        for (unsigned i = 0; i < size; ++i) out.append({digits[sum[i] >> 4], digits[sum[i] & 15]});
        return out;
    }
    void add(singularity::Stream& bytes) {
        for (;;) {
            const singularity::Slice s = bytes.next();
            if (s.size() == 0) return;
            if (!s.is_hole()) {
                add(s.data(), s.size());
                continue;
            }
            static const std::string zeros(1 << 16, '\0');
            for (uint64_t left = s.size(); left > 0; left -= std::min<uint64_t>(left, zeros.size()))
                add(zeros.data(), std::min<uint64_t>(left, zeros.size()));
        }
    }

private:
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

// "sha256:HEX" to OpenSSL's name and the hex; the names that signatures of SIF files may have only.
std::pair<const char*, std::string> parse_digest(const std::string& text) {
    const size_t colon = text.find(':');
    const std::string_view name = std::string_view(text).substr(0, colon);
    static constexpr std::pair<std::string_view, const char*> known[] = {
        {"sha224", "SHA224"}, {"sha256", "SHA256"}, {"sha384", "SHA384"},
        {"sha512", "SHA512"}, {"sha512_224", "SHA512-224"}, {"sha512_256", "SHA512-256"}};
    for (const auto& [theirs, ours] : known)
        if (name == theirs && colon != std::string::npos) return {ours, text.substr(colon + 1)};
    throw Error(Code::corrupt, "the signed message has a digest of an unknown kind: " + singularity::json::printable(text));
}

bool equal(const std::string& wanted, std::string_view bytes) {
    const auto [algorithm, hex] = parse_digest(wanted);
    return digest_hex(algorithm, bytes) == hex;
}

}  // namespace

std::string digest_hex(const char* algorithm, std::string_view bytes) {
    Digest d(algorithm);
    d.add(bytes.data(), bytes.size());
    return d.hex();
}

std::string digest_hex(const char* algorithm, singularity::Stream& bytes) {
    Digest d(algorithm);
    d.add(bytes);
    return d.hex();
}

std::string signed_message(const ForeignImage& image, uint64_t group, const std::set<uint64_t>& only, const Host& host) {
    std::vector<singularity::PartedImageFile::Covered> parts;
    const std::string header = image.covered(group, parts);
    std::string objects;
    for (const auto& p : parts) {
        if (!only.empty() && !only.contains(p.id)) continue;
        host.poll();
        const auto data = image.read(p.id, host);
        objects += (objects.empty() ? "" : ",") + std::string("{\"relativeId\":") + std::to_string(p.relative_id) +
                   ",\"descriptorDigest\":\"sha256:" + digest_hex("SHA256", p.descriptor) + "\",\"objectDigest\":\"sha256:" +
                   digest_hex("SHA256", *data) + "\"}";
    }
    if (objects.empty()) throw Error(Code::invalid, image.path() + " has nothing to sign in group " + std::to_string(group));
    return "{\"version\":1,\"header\":{\"digest\":\"sha256:" + digest_hex("SHA256", header) + "\"},\"objects\":[" + objects + "]}";
}

std::set<uint64_t> check_message(const ForeignImage& image, uint64_t group, std::string_view message,
                                 const std::set<uint64_t>& only, const Host& host) {
    const singularity::json::Document document(message, "the signed message", message_limit);
    const auto root = document.root();
    if (root["version"].integer() != 1)
        throw Error(Code::unsupported, "the signed message is of version " + std::to_string(root["version"].integer()) + ", which is not known");
    std::vector<singularity::PartedImageFile::Covered> parts;
    const std::string header = image.covered(group, parts);
    if (parts.empty()) throw Error(Code::corrupt, "object group " + std::to_string(group) + " is empty");

    std::set<uint64_t> seen;
    std::vector<std::pair<const singularity::PartedImageFile::Covered*, std::pair<std::string, std::string>>> todo;
    for (const auto object : root["objects"].list()) {
        const uint64_t relative = object["relativeId"].size();
        const auto part = std::find_if(parts.begin(), parts.end(), [&](const auto& p) { return p.relative_id == relative; });
        if (part == parts.end())
            throw Error(Code::corrupt, "signed object not found: the object " + std::to_string(relative) + " of group " + std::to_string(group) + " was removed");
        if (!seen.insert(part->id).second) throw Error(Code::corrupt, "the signed message names object " + std::to_string(part->id) + " twice");
        todo.emplace_back(&*part, std::pair(object["descriptorDigest"].text(), object["objectDigest"].text()));
    }
    for (const auto& p : parts)
        if (!seen.contains(p.id) && (only.empty() || only.contains(p.id)))
            throw Error(Code::corrupt, "object " + std::to_string(p.id) + ": object not signed");
    if (!equal(root["header"]["digest"].text(), header)) throw Error(Code::corrupt, "header integrity compromised");
    for (const auto& [part, digests] : todo)
        if (!equal(digests.first, part->descriptor))
            throw Error(Code::corrupt, "data object descriptor integrity compromised: " + std::to_string(part->id));
    for (const auto& [part, digests] : todo) {
        host.poll();
        const auto [algorithm, hex] = parse_digest(digests.second);
        const auto data = image.read(part->id, host);
        if (digest_hex(algorithm, *data) != hex)
            throw Error(Code::corrupt, "data object integrity compromised: " + std::to_string(part->id));
    }
    return seen;
}

std::optional<std::string> legacy_digest(std::string_view message) {
    constexpr std::string_view head = "SIFHASH:\n";
    if (!message.starts_with(head)) return std::nullopt;
    message.remove_prefix(head.size());
    while (!message.empty() && (message.back() == '\n' || message.back() == '\r')) message.remove_suffix(1);
    return std::string(message);
}

void check_legacy(const ForeignImage& image, const std::vector<uint64_t>& ids, const std::string& digest,
                  const std::string& algorithm, const Host& host) {
    Digest d(algorithm.c_str());
    for (const uint64_t id : ids) {
        host.poll();
        const auto data = image.read(id, host);
        d.add(*data);
    }
    if (d.hex() != digest)
        throw Error(Code::corrupt, "data object integrity compromised: " + std::to_string(ids.empty() ? 0 : ids.front()));
}

}  // namespace signing
