#include <cstdlib>
#include <ctime>

#include <singularity/text.hpp>

#include "signing/commands.hpp"
#include "signing/integrity.hpp"
#include "signing/keyring.hpp"
#include "signing/line.hpp"
#include "signing/pem.hpp"
#include "signing/prompt.hpp"

namespace signing {

namespace {

struct Task {
    uint64_t group;
    std::set<uint64_t> only;
};

std::vector<Task> tasks_of(const ForeignImage& image, const Line& line) {
    const auto group = line.number("group-id"), object = line.number("sif-id");
    if (group && object) throw Error(Code::usage, "--group-id and --sif-id exclude each other");
    std::set<uint64_t> groups;
    for (const auto& p : image.parts()) {
        if (p.type == "signature") continue;
        if (object && p.id == *object) {
            if (p.group == 0) throw Error(Code::invalid, "object " + std::to_string(p.id) + " of " + image.path() + " belongs to no group, so it cannot be signed");
            return {{p.group, {p.id}}};
        }
        if (!object && p.group != 0 && (!group || p.group == *group)) groups.insert(p.group);
    }
    if (object) throw Error(Code::not_found, image.path() + " has no object " + std::to_string(*object) + " that can be signed");
    if (groups.empty()) throw Error(Code::not_found, group ? image.path() + " has no object group " + std::to_string(*group) : image.path() + " holds nothing to sign");
    std::vector<Task> out;
    for (const uint64_t g : groups) out.push_back({g, {}});
    return out;
}

KeyFacts chosen_key(Keys& keys, const Line& line) {
    const auto secret = keys.list(true);
    if (secret.empty()) throw Error(Code::not_found, "there is no key to sign with", "make one: singularity key newpair");
    uint64_t index = 0;
    if (const auto given = line.number("keyidx")) {
        index = *given;
    } else if (secret.size() > 1) {
        std::string question = "Keys to sign with:\n";
        for (size_t i = 0; i < secret.size(); ++i) question += std::to_string(i) + ")  " + secret[i].user + "  " + secret[i].fingerprint + "\n";
        const std::string answer = ask(question + "Enter # of signing key to use : ");
        index = answer.empty() || answer.find_first_not_of("0123456789") != std::string::npos || answer.size() > 6 ? secret.size() : std::stoul(answer);
    }
    if (index >= secret.size()) throw Error(Code::usage, "there is no secret key number " + std::to_string(index), "see: singularity key list --secret");
    return secret[index];
}

int64_t signing_time() {
    const char* set = std::getenv("SOURCE_DATE_EPOCH");
    return set && *set ? std::strtoll(set, nullptr, 10) : static_cast<int64_t>(std::time(nullptr));
}

}  // namespace

int SignCommand::run(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const std::string& name = only_argument(line, "IMAGE");
    const std::string pem = line.option("key");
    ForeignImage image(line.file(name), true);
    if (!image.has_parts()) throw Error(Code::unsupported, name + " is no SIF file: only those can be signed");
    const auto tasks = tasks_of(image, line);
    print("Signing image: " + name + "\n");

    // Everything is signed before anything is written.
    std::vector<std::string> signatures;
    std::vector<std::pair<std::string, std::string>> attributes{{"hash", "SHA256"}};
    if (!pem.empty()) {
        const PemKey key = PemKey::private_from(line.file(pem), [] { return ask_secret("Enter passphrase for the private key : "); });
        for (const auto& t : tasks) signatures.push_back(dsse_envelope(signed_message(image, t.group, t.only, host), key));
    } else {
        KeyRing ring = KeyRing::of_user();
        const KeyFacts key = chosen_key(ring.keys(), line);
        if (key.revoked) throw Error(Code::invalid, "the key " + key.fingerprint + " was revoked");
        if (key.expires != 0 && key.expires <= std::time(nullptr)) throw Error(Code::invalid, "the key " + key.fingerprint + " has expired");
        std::string passphrase;
        const auto ask_once = [&](const std::string&) {
            if (passphrase.empty()) passphrase = ask_secret("Enter key passphrase : ");
            return passphrase;
        };
        for (const auto& t : tasks) signatures.push_back(ring.keys().clear_sign(signed_message(image, t.group, t.only, host), key.fingerprint, ask_once));
        attributes.emplace_back("entity", key.fingerprint);
        explicit_bzero(passphrase.data(), passphrase.size());
    }
    for (size_t i = 0; i < tasks.size(); ++i) {
        sg_part_spec spec{};
        spec.type = "signature";
        spec.name = "";
        spec.link = tasks[i].group;
        spec.link_is_group = 1;
        spec.alignment = 1;
        spec.time = signing_time();
        image.add(spec, attributes, std::make_unique<singularity::TextStream>(signatures[i]), host);
    }
    print("Signature created and applied to " + name + "\n");
    return 0;
}

}  // namespace signing
