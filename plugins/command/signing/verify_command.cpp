#include <algorithm>

#include "signing/commands.hpp"
#include "signing/keyring.hpp"
#include "signing/keyserver.hpp"
#include "signing/line.hpp"
#include "signing/verify.hpp"

namespace signing {

namespace {

Wanted wanted_of(const Line& line) {
    Wanted w;
    w.group = line.number("group-id");
    w.object = line.number("sif-id");
    w.all = line.flag("all");
    w.legacy = line.flag("legacy-insecure");
    if (w.group && w.object) throw Error(Code::usage, "--group-id and --sif-id exclude each other");
    return w;
}

std::optional<PemKey> pem_of(const Line& line) {
    const std::string key = line.option("key"), certificate = line.option("certificate");
    if (!key.empty() && !certificate.empty()) throw Error(Code::usage, "--key and --certificate exclude each other");
    if (!key.empty()) return PemKey::public_from(line.file(key));
    if (certificate.empty()) return std::nullopt;
    const auto path = [&](const char* name) { return line.option(name).empty() ? std::string() : line.file(line.option(name)); };
    return certified_key(line.file(certificate), path("certificate-intermediates"), path("certificate-roots"));
}

// Tries the servers in their order; a key with another fingerprint than the one asked for is not taken.
bool fetch_key(Keys& keys, const std::string& fingerprint, const std::vector<KeyServer>& servers, const Host& host) {
    for (const auto& server : servers) {
        try {
            const std::string armoured = server.get(fingerprint, host);
            Keys candidate;
            candidate.add(armoured);
            if (!candidate.find(fingerprint)) {
                host.warn(server.url() + " answered with another key than " + fingerprint + ", which is not taken");
                continue;
            }
            keys.add(candidate.exported(fingerprint, false, false));
            return true;
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            host.log(SG_VERBOSE, e.message());
        }
    }
    return false;
}

std::string row(const std::string& a, const std::string& b, const std::string& c, const std::string& d) {
    const auto cell = [](std::string text, size_t width) { return text + std::string(width > text.size() ? width - text.size() : 0, ' ') + "|"; };
    return cell(a, 4) + cell(b, 8) + cell(c, 8) + d + "\n";
}

// As `sif list` of the other tools calls the type.
std::string shown_type(std::string_view type) {
    static constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"deffile", "Def.FILE"}, {"env", "Env.Vars"}, {"labels", "JSON.Labels"}, {"partition", "FS"}, {"signature", "Signature"}, {"json", "JSON.Generic"},
        {"generic", "Generic/Raw"}, {"message", "Cryptographic Message"}, {"sbom", "SBOM"}, {"oci-index", "OCI.RootIndex"}, {"oci-blob", "OCI.Blob"}};
    for (const auto& [ours, theirs] : names)
        if (type == ours) return std::string(theirs);
    return "Unknown";
}

std::string objects_table(const ForeignImage& image, const std::vector<Signer>& signers) {
    std::set<uint64_t> ids;
    for (const auto& s : signers)
        if (s.checked) ids.insert(s.objects.begin(), s.objects.end());
    std::string out = "Objects verified:\n" + row("ID", "GROUP", "LINK", "TYPE") + std::string(48, '-') + "\n";
    for (const auto& p : image.parts()) {
        if (!ids.contains(p.id)) continue;
        const std::string link = p.link == 0 ? "NONE" : std::to_string(p.link) + (p.link_is_group ? " (G)" : "");
        out += row(std::to_string(p.id), p.group ? std::to_string(p.group) : "NONE", link, shown_type(p.type));
    }
    return out;
}

std::string as_json(const std::vector<Signer>& signers) {
    std::string out;
    for (const auto& s : signers) {
        const auto truth = [](bool b) { return b ? "true" : "false"; };
        out += (out.empty() ? "" : ",") + std::string("\n    {\n      \"Signer\": {\n        \"Name\": ") + quoted(s.name) + ",\n        \"Fingerprint\": " +
               quoted(s.fingerprint) + ",\n        \"KeyLocal\": " + truth(s.local) + ",\n        \"KeyCheck\": " + truth(s.checked || !s.name.empty()) +
               ",\n        \"DataCheck\": " + truth(s.checked) + "\n      }\n    }";
    }
    return "{\n  \"Signatures\": " + std::to_string(signers.size()) + ",\n  \"SignerKeys\": [" + out + (out.empty() ? "]" : "\n  ]") + "\n}\n";
}

}  // namespace

int VerifyCommand::run(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const std::string& name = only_argument(line, "IMAGE");
    const Wanted wanted = wanted_of(line);
    const auto pem = pem_of(line);
    const bool json = line.flag("json");
    const ForeignImage image(line.file(name), false);
    if (!image.has_parts()) throw Error(Code::unsupported, name + " is no SIF file: only those are signed");
    if (!json) print("Verifying image: " + name + "\n");

    KeyRing ring = KeyRing::of_user();
    KeyRing site = KeyRing::of_site(host.text("signing.global_ring").value_or(""));
    Trust trust;
    if (pem) {
        trust.pem = &*pem;
    } else {
        trust.keys = &ring.keys();
        trust.site_keys = &site.keys();
        if (!line.flag("local")) {
            const std::string url = line.option("url");
            trust.fetch = [&, url](const std::string& fingerprint) {
                try {
                    return fetch_key(ring.keys(), fingerprint, key_servers(url, host), host);
                } catch (const Error& e) {
                    if (e.code() == Code::cancelled || e.code() == Code::usage) throw;
                    host.warn(e.message());  // the remote cannot be asked for its servers: the key stays unknown
                    return false;
                }
            };
        }
    }
    std::vector<Signer> signers;
    try {
        signers = verify_image(image, wanted, trust, host);
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        if (json) print(as_json({}));
        host.log(SG_ERROR, "verification failed: " + e.message());
        if (!e.hint().empty()) host.info(e.hint());
        return 255;
    }
    const bool good = std::all_of(signers.begin(), signers.end(), [](const Signer& s) { return s.checked || s.tolerated; });
    if (json) {
        print(as_json(signers));
        return good ? 0 : 255;
    }
    for (const auto& s : signers) {
        const char* mark = s.checked ? s.local ? "[LOCAL]   " : "[REMOTE]  " : "[FAIL]    ";
        if (!s.name.empty()) print(std::string(mark) + "Signing entity: " + s.name + "\n");
        if (!s.fingerprint.empty()) print(std::string(mark) + "Fingerprint: " + s.fingerprint + "\n");
        if (s.tolerated) host.warn(s.why);
        if (!s.checked && !s.tolerated) host.log(SG_ERROR, "verification failed: " + s.why);
    }
    if (!good) return 255;
    print(objects_table(image, signers));
    host.info("Verified signature(s) from image '" + name + "'");
    return 0;
}

}  // namespace signing
