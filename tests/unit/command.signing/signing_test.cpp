#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include <openssl/evp.h>

#include <singularity/text.hpp>

#include "sif/container.hpp"
#include "sif/format.hpp"
#include "signing/keyring.hpp"
#include "signing/keyserver.hpp"
#include "signing/pem.hpp"
#include "signing/verify.hpp"

using namespace signing;
namespace fs = std::filesystem;

namespace {

// The host: it opens images by the format sif.
int32_t open_image(const char* path, int32_t writable, const sg_format_v1** format, const sg_parts_v1** parts, sg_image_file** image, sg_error* err) {
    using Table = singularity::detail::TableOf<sif::SifFormat>;
    *format = static_cast<const sg_format_v1*>(Table::find("format", 1));
    *parts = static_cast<const sg_parts_v1*>(Table::find("parts", 1));
    return (*format)->open(path, writable, image, err);
}
const void* host_table(const sg_host*, const char* name, uint32_t version) {
    static const sg_host_image_v2 images{open_image};
    return std::string_view(name) == "image" && version == 2 ? &images : nullptr;
}
struct TheHost {
    TheHost() {
        static const sg_host host{SG_ABI_VERSION, "4.0.0", host_table};
        singularity::detail::the_host = &host;
    }
} the_host;

struct Folder {
    std::string path;
    Folder() {
        char name[] = "/tmp/signing-test-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { fs::remove_all(path); }
    std::string operator/(const std::string& name) const { return path + "/" + name; }
};

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    BOOST_REQUIRE_MESSAGE(in, path);
    return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

struct Data {
    std::string images, keys;
    Data() {
        const char* root = std::getenv("SINGULARITY_TEST_DATA");
        if (!root || !*root) return;
        images = std::string(root) + "/sif/images/";
        keys = std::string(root) + "/sif/keys/";
    }
    explicit operator bool() const { return !images.empty(); }
};
#define NEED_DATA(data)                                                            \
    const Data data;                                                               \
    if (!data) {                                                                   \
        BOOST_TEST_MESSAGE("skipped: SINGULARITY_TEST_DATA names no artefacts");   \
        return;                                                                    \
    }

std::string message_of(const std::function<void()>& what) {
    try {
        what();
    } catch (const Error& e) {
        return e.message();
    }
    return "";
}

bool good(const std::vector<Signer>& signers) {
    return !signers.empty() && std::all_of(signers.begin(), signers.end(), [](const Signer& s) { return s.checked || s.tolerated; });
}

std::vector<Signer> verify(const std::string& path, Keys* keys, const PemKey* pem = nullptr, Wanted wanted = {}) {
    const ForeignImage image(path, false);
    Trust trust;
    trust.keys = keys;
    trust.pem = pem;
    return verify_image(image, wanted, trust, Host());
}

// An empty SIF.
std::string plain_image(const Folder& folder) {
    const std::string path = folder / "x.sif";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0755);
    const std::array<uint8_t, 16> uuid{1, 2, 3};
    sif::write_empty(fd, path, 0, uuid);
    ::close(fd);
    return path;
}

void add_object(const std::string& path, uint64_t group, const std::string& text) {
    ForeignImage image(path, true);
    sg_part_spec spec{};
    spec.type = "generic";
    spec.name = "notes";
    spec.group = group;
    spec.time = INT64_MIN;
    image.add(spec, {}, std::make_unique<singularity::TextStream>(text), Host());
}

void add_signature(const std::string& path, uint64_t group, const std::string& bytes, const std::string& entity) {
    ForeignImage image(path, true);
    sg_part_spec spec{};
    spec.type = "signature";
    spec.name = "";
    spec.link = group;
    spec.link_is_group = 1;
    spec.alignment = 1;
    spec.time = INT64_MIN;
    std::vector<std::pair<std::string, std::string>> attributes{{"hash", "SHA256"}};
    if (!entity.empty()) attributes.emplace_back("entity", entity);
    image.add(spec, attributes, std::make_unique<singularity::TextStream>(bytes), Host());
}

std::vector<std::shared_ptr<EVP_PKEY>> new_keys() {
    return {{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free},
            {EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free},
            {EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}), EVP_PKEY_free}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(signatures_of_the_reference_tool_by_openpgp_are_right) {
    NEED_DATA(data)
    Keys keys;
    BOOST_TEST(keys.add(read_file(data.keys + "public.asc")).size() == 1u);
    for (const char* name : {"one-group-signed-pgp.sif", "two-groups-signed-pgp.sif"}) {
        const auto signers = verify(data.images + name, &keys);
        BOOST_TEST(good(signers), name);
        BOOST_TEST((signers.front().fingerprint == keys.list(false).front().fingerprint));
    }
    const auto unknown = [&] {
        Keys none;
        return verify(data.images + "one-group-signed-pgp.sif", &none);
    }();
    BOOST_REQUIRE(unknown.size() == 1u);
    BOOST_TEST(!unknown.front().checked);
    BOOST_TEST((unknown.front().why.find("is in no key ring") != std::string::npos));
}

BOOST_AUTO_TEST_CASE(signatures_of_the_reference_tool_by_pem_keys_are_right) {
    NEED_DATA(data)
    for (const char* name : {"ed25519-public.pem", "rsa-public.pem"}) {
        const PemKey key = PemKey::public_from(data.keys + name);
        for (const char* image : {"one-group-signed-dsse.sif", "two-groups-signed-dsse.sif"}) BOOST_TEST(good(verify(data.images + image, nullptr, &key)), std::string(name) + " " + image);
    }
    const PemKey stranger = PemKey::public_from(data.keys + "ecdsa-public.pem");
    BOOST_TEST(!good(verify(data.images + "one-group-signed-dsse.sif", nullptr, &stranger)));
}

BOOST_AUTO_TEST_CASE(old_signatures_count_only_when_they_are_asked_for) {
    NEED_DATA(data)
    Keys keys;
    keys.add(read_file(data.keys + "public.asc"));
    Wanted legacy;
    legacy.legacy = true;
    for (const char* name : {"one-group-signed-legacy.sif", "one-group-signed-legacy-group.sif", "two-groups-signed-legacy.sif", "two-groups-signed-legacy-group.sif"}) {
        BOOST_TEST((message_of([&] { verify(data.images + name, &keys); }).find("signature not found for object group") == 0u), name);
        BOOST_TEST(good(verify(data.images + name, &keys, nullptr, legacy)), name);
    }
    legacy.all = true;
    BOOST_TEST(good(verify(data.images + "one-group-signed-legacy-all.sif", &keys, nullptr, legacy)));
    // Its third object was signed by nobody.
    BOOST_TEST(message_of([&] { verify(data.images + "two-groups-signed-legacy-all.sif", &keys, nullptr, legacy); }) == "signature not found for object 3");
}

BOOST_AUTO_TEST_CASE(an_unsigned_image_is_told_as_the_seed_does) {
    NEED_DATA(data)
    Keys keys;
    BOOST_TEST(message_of([&] { verify(data.images + "one-group.sif", &keys); }) == "error while searching for signature blocks: no signatures found for system partition");
}

// Flips a bit of every byte that a signature of the image must cover; of long runs of data between their ends only each
// `step`th. How many were tried.
size_t flips_found(const std::string& image, Keys& keys, size_t step) {
    const Folder folder;
    const std::string whole = read_file(image);
    std::vector<std::pair<size_t, size_t>> covered{{0, 45}, {48, 64}};
    {
        const auto parts = ForeignImage(image, false).parts();
        BOOST_REQUIRE(parts.size() >= 2u);
        const auto c = sif::Container::open(image, false);
        for (const auto& p : parts) {
            if (p.type == "signature") continue;
            const auto& d = c.need(static_cast<uint32_t>(p.id));
            covered.emplace_back(d.offset, d.offset + d.size);
            const size_t slot = 4096 + (p.id - 1) * 585;
            // type, used, (id, group:) skipped, link, (offset) size, (padded) created, (modified) uid, gid, name, extra
            for (const auto& [from, size] : std::initializer_list<std::pair<size_t, size_t>>{{0, 5}, {13, 4}, {25, 8}, {41, 8}, {57, 16}, {73, 512}})
                covered.emplace_back(slot + from, slot + from + size);
        }
    }
    const std::string path = folder / "x.sif";
    size_t tried = 0;
    for (const auto& [from, to] : covered) {
        for (size_t at = from; at < to; at += (at - from > 600 && to - at > 600) ? step : 1) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ 1);
            write_file(path, bytes);
            bool fine = false;
            try {
                fine = good(verify(path, &keys));
            } catch (const Error&) {
            }
            if (fine) BOOST_ERROR("a change of byte " << at << " was not found");
            ++tried;
        }
    }
    return tried;
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_in_any_covered_byte_is_found) {
    const Folder folder;
    const std::string path = plain_image(folder);
    add_object(path, 1, "first");
    add_object(path, 1, "the second, which is longer");
    Keys own;
    const std::string print = own.generate("Ann <ann@example.com>", "", 2048);
    add_signature(path, 1,
                  own.clear_sign(signed_message(ForeignImage(path, false), 1, {}, Host()), print,
                                 [](const std::string&) { return std::string(); }),
                  print);
    BOOST_REQUIRE(good(verify(path, &own)));
    BOOST_TEST(flips_found(path, own, 1) > 1000u);
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_of_what_the_reference_tool_signed_is_found) {
    NEED_DATA(data)
    Keys keys;
    keys.add(read_file(data.keys + "public.asc"));
    BOOST_TEST(flips_found(data.images + "one-group-signed-pgp.sif", keys, 7) > 1500u);
}

BOOST_AUTO_TEST_CASE(what_is_signed_here_verifies_and_additions_to_the_group_do_not) {
    const Folder folder;
    const std::string path = plain_image(folder);
    add_object(path, 1, "first");
    add_object(path, 1, "second");
    add_object(path, 2, "other");
    for (const auto& raw : new_keys()) {
        const std::string copy = folder / "copy.sif";
        fs::copy_file(path, copy, fs::copy_options::overwrite_existing);
        const PemKey one(raw);
        for (const uint64_t group : {1, 2}) add_signature(copy, group, dsse_envelope(signed_message(ForeignImage(copy, false), group, {}, Host()), one), "");
        BOOST_TEST(good(verify(copy, nullptr, &one)));
    }
    const PemKey key(new_keys().front());
    for (const uint64_t group : {1, 2}) add_signature(path, group, dsse_envelope(signed_message(ForeignImage(path, false), group, {}, Host()), key), "");
    BOOST_TEST(good(verify(path, nullptr, &key)));
    add_object(path, 1, "third");
    const auto signers = verify(path, nullptr, &key);
    BOOST_REQUIRE(signers.size() == 2u);
    BOOST_TEST((signers.front().why.find("object not signed") != std::string::npos));
    Wanted second;
    second.group = 2;
    BOOST_TEST(good(verify(path, nullptr, &key, second)));
    Wanted one;
    one.object = 1;
    BOOST_TEST(good(verify(path, nullptr, &key, one)));
    {
        const auto* parts = static_cast<const sg_parts_v1*>(singularity::detail::TableOf<sif::SifFormat>::find("parts", 1));
        const auto* format = static_cast<const sg_format_v1*>(singularity::detail::TableOf<sif::SifFormat>::find("format", 1));
        sg_image_file* image = nullptr;
        BOOST_REQUIRE(format->open(path.c_str(), 1, &image, nullptr) == SG_OK);
        BOOST_REQUIRE(parts->remove(image, 2, 0, nullptr) == SG_OK);
        format->close(image);
    }
    BOOST_TEST((verify(path, nullptr, &key).front().why.find("signed object not found") != std::string::npos));
}

// As ssh-keygen -l prints them. Apptainer passes over signatures whose id is not that of the key it has.
BOOST_AUTO_TEST_CASE(the_id_of_a_pem_key_is_that_of_openssh) {
    static const std::pair<const char*, const char*> keys[] = {
        {"SHA256:sEbn/UjQLs1WZNPUZjX3fdy52UYXhqKJVC6GlpxaibA",
         "MCowBQYDK2VwAyEA5WTJbEFPM8KuQEeSezbTHPpsygJ5ce/tZVIwm1ladG4=\n"},
        {"SHA256:4na4knmvhpNihO5JpRvQV9F6ED6dgTbrkgh0KoM5aW0",
         "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwXtQGPv/gPCinaSCDQRn\n"
         "1At+8a8y03wC7Z0Yhol3CdMAyuCDdnESj6WQ7yzwVnWkcIEXIPGjwiMq2ahU70uR\n"
         "0Y2UbfyBjaO7oP61jWeiN4uT09RSAM9sndu5/p9C+VHvet4xTyFriQt2MMhPwx58\n"
         "cvCcjNgEdEtz+zVobuIE+roUjIaQzlsDBLJOR780cbnPjUd/auqzJYNBlvgvxFdI\n"
         "vBWtVjmSDsbbca9P1GN4ZEdloaHCxKmsKHFipi93ZQr8CNW5xIW9QT1lGX82I0Tg\n"
         "YpWm00kKxqcxAACOVNJFpPKD+P8JrGNxRQK5R8iMLWAhpwpnnw6thOP6TwgriOSj\n"
         "hwIDAQAB\n"},
        {"SHA256:M786Fmqs7wwYz4T5jgRnYveki+0CUcUI/lr82ke8x/s",
         "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3TIQ0CVW/xXs3t5xoKe6OQwQiBEp\n"
         "+O8EZHwH7ke/maK32gpfN6bCRweSGe/Ib+NTfKiyHC3H/Zc+d1mjBzbSIQ==\n"},
        {"SHA256:yFw7JzhSB0umSwvXyKFkPYoqO8EjeUxv4Xn5JFNo6ww",
         "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE24nOK4L4oVkbqzRsaORdqqqWSR7uaAe3\n"
         "omifghsg1rQRBwrLMnZ81d1CDfKbSnz0CZ4tRy+L8KVov/3P4c28OqMxJSbE+B1p\n"
         "bJQ7iwne/D30yfvWiJRa9FTfAJ7FSDPy\n"},
        {"SHA256:neAA/YqSn18e2JA8U6it/8RKEIQ1nMRWDSSAPm/UmAg",
         "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBDGDCv1vu6JFSCN/MWsbQMk1z/8kN\n"
         "HD4CshIJ/vgH2z9D0iPvr0rzBkgmOm+vtmA1DI2HXDsVok52K8UzldSOJOcBjZfv\n"
         "dWHE3NSpaz0tKZZBh6W9NhJlphFdIVyKHc75FR/+PQ552mA9x5vNJ6iCLfZ5V/qW\n"
         "sHFFtdcFuNZD0xdC6+Y=\n"},
    };
    const Folder folder;
    for (const auto& [id, body] : keys) {
        write_file(folder / "x.pem", std::string("-----BEGIN PUBLIC KEY-----\n") + body + "-----END PUBLIC KEY-----\n");
        BOOST_TEST(PemKey::public_from(folder / "x.pem").id() == id);
    }
}

BOOST_AUTO_TEST_CASE(openpgp_keys_are_made_kept_and_used) {
    const Folder folder;
    const std::string path = plain_image(folder);
    add_object(path, 1, "first");
    std::string fingerprint;
    {
        KeyRing ring(folder / "keys");
        fingerprint = ring.keys().generate("Ann (test) <ann@example.com>", "secret", 2048);
        ring.keep(fingerprint);
    }
    BOOST_TEST((fs::status(folder / "keys/pgp-secret").permissions() == fs::perms(0600)));
    BOOST_TEST((fs::status(folder / "keys").permissions() == fs::perms(0700)));
    KeyRing ring(folder / "keys");
    BOOST_REQUIRE(ring.keys().list(true).size() == 1u);
    BOOST_TEST(ring.keys().list(true).front().user == "Ann (test) <ann@example.com>");
    const std::string message = signed_message(ForeignImage(path, false), 1, {}, Host());
    BOOST_TEST((message_of([&] { ring.keys().clear_sign(message, fingerprint, [](const std::string&) { return "wrong"; }); }) != ""));
    add_signature(path, 1, ring.keys().clear_sign(message, fingerprint, [](const std::string&) { return "secret"; }), fingerprint);
    const auto signers = verify(path, &ring.keys());
    BOOST_TEST(good(signers));
    BOOST_TEST(signers.front().name == "Ann (test) <ann@example.com>");
    // A signature that names another key than the one that made it.
    add_signature(path, 1, ring.keys().clear_sign(message, fingerprint, [](const std::string&) { return "secret"; }), std::string(40, 'A'));
    BOOST_TEST(!good(verify(path, &ring.keys())));
    ring.remove(fingerprint, true);
    ring.remove(fingerprint, false);
    BOOST_TEST(KeyRing(folder / "keys").keys().list(false).empty());
}

BOOST_AUTO_TEST_CASE(the_name_of_a_signer_forges_no_line_and_steers_no_terminal) {
    const Folder folder;
    const std::string path = plain_image(folder);
    add_object(path, 1, "first");
    Keys keys;
    const std::string id = keys.generate("Eve\n[LOCAL] Signing entity: Ann \x1b[2J\u009b1m\u202e<eve@example.com>", "", 2048);
    const std::string shown = "Eve?[LOCAL] Signing entity: Ann ?[2J?1m?<eve@example.com>";
    BOOST_TEST(keys.list(false).front().user == shown);
    add_signature(path, 1, keys.clear_sign(signed_message(ForeignImage(path, false), 1, {}, Host()), id, [](const std::string&) { return std::string(); }), id);
    BOOST_TEST(verify(path, &keys).front().name == shown);
}

BOOST_AUTO_TEST_CASE(the_answer_of_a_key_server_forges_no_line_and_steers_no_terminal) {
    const auto hits = KeyServer::read_index(
        "info:1:2\r\npub:AB%1bCD:1:2048:1500000000::\x1b[2J\nuid:Ann%20<a%40b>%0aeve%1b%5b2J:1::\nuid:caf%c3%a9::\nuid:too early\npub:short\n");
    BOOST_REQUIRE(hits.size() == 1u);
    BOOST_TEST(hits[0].fingerprint == "AB?CD");
    BOOST_TEST(hits[0].flags == "?[2J");
    BOOST_TEST(hits[0].users.at(0) == "Ann <a@b>?eve?[2J");
    BOOST_TEST(hits[0].users.at(1) == "caf\u00e9");
    BOOST_TEST(KeyServer::read_index("uid:nobody:\n\n:::::\npub").empty());
}

BOOST_AUTO_TEST_CASE(a_stranger_beside_somebody_known_does_no_harm) {
    const Folder folder;
    const std::string path = plain_image(folder);
    add_object(path, 1, "first");
    Keys known, stranger;
    const std::string a = known.generate("Ann <ann@example.com>", "", 2048), b = stranger.generate("Bob <bob@example.com>", "", 2048);
    const std::string message = signed_message(ForeignImage(path, false), 1, {}, Host());
    const auto nobody = [](const std::string&) { return std::string(); };
    add_signature(path, 1, stranger.clear_sign(message, b, nobody), b);
    BOOST_TEST(!good(verify(path, &known)));
    add_signature(path, 1, known.clear_sign(message, a, nobody), a);
    BOOST_TEST(good(verify(path, &known)));
}

BOOST_AUTO_TEST_CASE(damaged_rings_and_keys_are_refused) {
    const Folder folder;
    Keys keys;
    BOOST_CHECK_THROW(keys.add("this is no key"), Error);
    fs::create_directory(folder / "keys");
    write_file(folder / "keys/pgp-public", "neither is this");
    BOOST_TEST((message_of([&] { KeyRing(folder / "keys"); }).find("pgp-public") != std::string::npos));
    write_file(folder / "x.pem", "no PEM");
    BOOST_TEST((message_of([&] { PemKey::public_from(folder / "x.pem"); }).find("x.pem") != std::string::npos));
    BOOST_TEST((message_of([&] { PemKey::public_from(folder / "none.pem"); }).find("none.pem") != std::string::npos));
    Envelope e;
    BOOST_TEST(!parse_envelope("-----BEGIN", e));
    BOOST_CHECK_THROW(parse_envelope("{", e), Error);
    BOOST_CHECK_THROW(parse_envelope("{\"payloadType\":\"application/vnd.sylabs.sif-metadata+json\",\"payload\":\"!\",\"signatures\":[]}", e), Error);
}
