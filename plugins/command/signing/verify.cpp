#include "signing/verify.hpp"

#include <algorithm>
#include <ctime>

namespace signing {

namespace {

constexpr uint64_t signature_limit = 16 << 20;

using Part = ForeignImage::Part;

struct Task {
    uint64_t group;
    std::set<uint64_t> only;  // empty: the whole group
};

bool is_signature(const Part& p) { return p.type == "signature"; }

// The text of a clear-signed message, unverified: to tell the legacy kind.
bool looks_legacy(std::string_view data) {
    const size_t begin = data.find("\n\n"), other = data.find("\r\n\r\n");
    const size_t at = begin != std::string_view::npos ? begin + 2 : other != std::string_view::npos ? other + 4 : std::string_view::npos;
    return at != std::string_view::npos && data.starts_with("-----BEGIN PGP SIGNED MESSAGE") && data.substr(at).starts_with("SIFHASH:");
}

struct Signature {
    const Part* part;
    std::string data;
    bool legacy;
};

std::string date(int64_t time) {
    char text[32];
    const time_t t = time;
    tm parts{};
    gmtime_r(&t, &parts);
    strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}

class Verifier {
public:
    Verifier(const ForeignImage& image, const Wanted& wanted, const Trust& trust, const Host& host)
        : image_(image), wanted_(wanted), trust_(trust), host_(host), parts_(image.parts()) {
        for (const auto& p : parts_) {
            if (!is_signature(p)) continue;
            const auto data = image.read(p.id, host);
            std::string text = singularity::read_all(*data, signature_limit, "a signature of " + image.path());
            const bool legacy = looks_legacy(text);
            signatures_.push_back({&p, std::move(text), legacy});
        }
    }

    std::vector<Signer> run() { return wanted_.legacy ? legacy() : current(); }

private:
    std::vector<Signer> current() {
        for (const auto& p : parts_)
            if (!is_signature(p) && p.group == 0)
                throw Error(Code::corrupt, image_.path() + ": object " + std::to_string(p.id) + " belongs to no group, so nothing can vouch for it");
        std::vector<Signer> out;
        for (const auto& task : tasks()) {
            const size_t before = out.size();
            for (const auto& s : signatures_)
                if (!s.legacy && s.part->link_is_group && s.part->link == task.group)
                    if (auto signer = check(s, [&](const std::string& text) { return check_message(image_, task.group, text, task.only, host_); })) out.push_back(std::move(*signer));
            if (out.size() == before) none_found(task.group);
            tolerate(out, before);
        }
        return out;
    }

    std::vector<Task> tasks() const {
        if (wanted_.object) return {{need(*wanted_.object).group, {*wanted_.object}}};
        std::set<uint64_t> groups;
        for (const auto& p : parts_)
            if (p.group != 0 && (!wanted_.group || *wanted_.group == p.group)) groups.insert(p.group);
        if (groups.empty())
            throw Error(Code::not_found, wanted_.group ? image_.path() + " has no object group " + std::to_string(*wanted_.group) : image_.path() + " holds nothing that can be signed");
        std::vector<Task> out;
        for (const uint64_t g : groups) out.push_back({g, {}});
        return out;
    }

    const Part& need(uint64_t id) const {
        for (const auto& p : parts_)
            if (p.id == id) return p;
        throw Error(Code::not_found, image_.path() + " has no object " + std::to_string(id));
    }

    [[noreturn]] void none_found(uint64_t group) const {
        if (signatures_.empty() && !wanted_.group && !wanted_.object)
            throw Error(Code::not_found, "error while searching for signature blocks: no signatures found for system partition");
        const auto any = [&](auto&& is) { return std::any_of(signatures_.begin(), signatures_.end(), is); };
        std::string hint;
        if (any([](const Signature& s) { return s.legacy; }))
            hint = "it has a signature of Singularity before 3.6, which protects less: --legacy-insecure accepts it";
        else if (!trust_.pem && any([](const Signature& s) { return s.data.starts_with("{"); }))
            hint = "it is signed with a PEM key: --key FILE or --certificate FILE checks that";
        else if (trust_.pem && any([](const Signature& s) { return !s.data.starts_with("{"); }))
            hint = "it is signed with an OpenPGP key: leave --key and --certificate out to check that";
        throw Error(Code::not_found, "signature not found for object group " + std::to_string(group), hint);
    }

    // Each object that has to be covered by a legacy signature: the system partition, or what was named.
    std::vector<Signer> legacy() {
        std::vector<const Part*> todo;
        for (const auto& p : parts_) {
            if (is_signature(p) || p.group == 0) continue;
            const bool chosen = wanted_.object ? p.id == *wanted_.object
                                : wanted_.group ? p.group == *wanted_.group
                                : wanted_.all   ? true
                                                : p.type == "partition" && p.attribute("part") == "*System";
            if (chosen) todo.push_back(&p);
        }
        if (todo.empty()) throw Error(Code::not_found, image_.path() + " has no system partition, or not what was named");
        std::vector<Signer> out;
        for (const Part* p : todo) {
            const size_t before = out.size();
            for (const auto& s : signatures_) {
                if (!s.legacy) continue;
                const bool for_group = s.part->link_is_group && s.part->link == p->group;
                if (!for_group && (s.part->link_is_group || s.part->link != p->id)) continue;
                std::vector<uint64_t> ids;
                for (const auto& other : parts_)
                    if (for_group ? other.group == p->group && !is_signature(other) : other.id == p->id) ids.push_back(other.id);
                const std::string algorithm(s.part->attribute("hash"));
                if (auto signer = check(s, [&](const std::string& text) {
                        const auto digest = legacy_digest(text);
                        if (!digest) throw Error(Code::corrupt, "the signature is not of the legacy kind");
                        check_legacy(image_, ids, *digest, algorithm, host_);
                        return std::set<uint64_t>(ids.begin(), ids.end());
                    }))
                    out.push_back(std::move(*signer));
            }
            if (out.size() == before) throw Error(Code::not_found, "signature not found for object " + std::to_string(p->id));
            tolerate(out, before);
        }
        return out;
    }

    // Signatures of strangers do no harm where somebody known signed the same.
    void tolerate(std::vector<Signer>& signers, size_t from) {
        const auto begin = signers.begin() + static_cast<ptrdiff_t>(from);
        if (std::none_of(begin, signers.end(), [](const Signer& s) { return s.checked; })) return;
        for (auto s = begin; s != signers.end(); ++s) s->tolerated = unknown_.contains(s->fingerprint) && !s->checked;
    }

    using CheckText = std::function<std::set<uint64_t>(const std::string& text)>;

    // nullopt: a signature of the kind that this trust says nothing about.
    std::optional<Signer> check(const Signature& s, const CheckText& covers) {
        Signer signer;
        Envelope envelope;
        std::string text;
        try {
            if (!s.legacy && parse_envelope(s.data, envelope)) {
                if (!trust_.pem) return std::nullopt;
                signer.name = trust_.pem->id();
                if (!accepted(envelope, *trust_.pem)) throw Error(Code::corrupt, "the signature is not of this key, or is broken");
                text = envelope.payload;
            } else if (s.data.starts_with("-----BEGIN PGP SIGNED MESSAGE")) {
                if (!trust_.keys) return std::nullopt;
                text = clear_text(s, signer);
            } else {
                throw Error(Code::corrupt, "signature format not recognized");
            }
            signer.objects = covers(text);
            signer.checked = true;
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            signer.why = e.message();
        }
        return signer;
    }

    std::string clear_text(const Signature& s, Signer& signer) {
        const std::string entity(s.part->attribute("entity"));
        signer.fingerprint = entity;
        Keys* keys = trust_.keys;
        Keys::Verdict v = keys->verify(s.data);
        if (v.state == Keys::Verdict::unknown_key && trust_.site_keys) {
            if (auto again = trust_.site_keys->verify(s.data); again.state != Keys::Verdict::unknown_key) v = again, keys = trust_.site_keys;
        }
        if (v.state == Keys::Verdict::unknown_key && !entity.empty() && trust_.fetch && trust_.fetch(entity)) {
            keys = trust_.keys;
            v = keys->verify(s.data);
            signer.local = false;
        }
        if (v.state == Keys::Verdict::unknown_key) unknown_.insert(entity);
        if (v.state == Keys::Verdict::unknown_key)
            throw Error(Code::not_found, "the key " + (entity.empty() ? std::string("of the signature") : entity) + " is in no key ring" + (trust_.fetch ? " and on no key server" : ""));
        if (const auto key = keys->find(v.fingerprint)) {
            signer.name = key->user;
            if (key->revoked) throw Error(Code::corrupt, "the key " + v.fingerprint + " was revoked");
            if (key->expires != 0 && v.made >= key->expires) throw Error(Code::corrupt, "the key " + v.fingerprint + " expired on " + date(key->expires) + ", before it signed");
            if (key->expires != 0 && key->expires <= std::time(nullptr)) host_.warn("the key " + v.fingerprint + " of " + key->user + " expired on " + date(key->expires) + "; it signed before that");
        }
        if (v.state == Keys::Verdict::bad) throw Error(Code::corrupt, "the signature is broken: " + v.why);
        if (!s.legacy && v.hash != "SHA224" && v.hash != "SHA256" && v.hash != "SHA384" && v.hash != "SHA512")
            throw Error(Code::corrupt, "the signature uses the weak digest " + v.hash);
        if (v.fingerprint != entity) throw Error(Code::corrupt, "the signature is by the key " + v.fingerprint + ", but names " + (entity.empty() ? "none" : entity));
        // Line ends are no part of what was signed in a clear-signed text.
        while (!v.text.empty() && (v.text.back() == '\n' || v.text.back() == '\r')) v.text.pop_back();
        return v.text;
    }

    const ForeignImage& image_;
    const Wanted& wanted_;
    const Trust& trust_;
    const Host& host_;
    const std::vector<Part> parts_;
    std::vector<Signature> signatures_;
    std::set<std::string> unknown_;  // fingerprints
};

}  // namespace

std::vector<Signer> verify_image(const ForeignImage& image, const Wanted& wanted, const Trust& trust, const Host& host) {
    return Verifier(image, wanted, trust, host).run();
}

}  // namespace signing
