#include "family/layout.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <singularity/json.hpp>

namespace sources {
namespace {

namespace json = singularity::json;
namespace media_type = singularity::media_type;
using media_type::Kind;

constexpr int max_index_depth = 4;
constexpr size_t max_platforms = 100;  // that one image is made for
constexpr std::string_view ref_name = "org.opencontainers.image.ref.name";
constexpr std::string_view containerd_name = "io.containerd.image.name";

bool is_listing(const Descriptor& d) {
    const Kind k = media_type::kind(d.media_type);
    // Without a type the body decides.
    return d.media_type.empty() || k == Kind::index || k == Kind::manifest;
}

std::string name_of(const Descriptor& d) {
    std::string n = d.annotation(ref_name);
    return n.empty() ? d.annotation(containerd_name) : n;
}

// The name in full, where one is known: files are called after it.
std::string full_name_of(const Descriptor& d) {
    std::string n = d.annotation(containerd_name);
    return n.empty() ? d.annotation(ref_name) : n;
}

// Signatures, SBOMs and other things attached to an image, by the tag that tools give them: "sha256-HEX",
// "sha256-HEX.sig", also behind a prefix and a colon. They are no choice when somebody asks for "the image".
bool is_attached(const Descriptor& d) {
    const std::string name = name_of(d);
    const size_t at = name.rfind("sha256-");
    if (at == std::string::npos || (at > 0 && name[at - 1] != ':')) return false;
    const std::string_view rest = std::string_view(name).substr(at + 7);
    if (rest.size() < 64 || !Digest::from_hex(Digest::Algorithm::sha256, rest.substr(0, 64))) return false;
    return rest.size() == 64 || rest[64] == '.';
}

// What one could have asked for.
std::string what_there_is(const Index& index) {
    std::string out;
    size_t shown = 0;
    for (size_t i = 0; i < index.manifests.size(); ++i) {
        const Descriptor& d = index.manifests[i];
        if (d.is_attestation() || is_attached(d)) continue;
        if (++shown > 12) {
            out += ", ...";
            break;
        }
        const std::string name = name_of(d);
        out += (out.empty() ? "" : ", ");
        out +=
            name.empty() ? "@" + std::to_string(i) + " (" + d.digest.text() + ")" : "\"" + json::printable(name) + "\"";
    }
    return out.empty() ? "holds no image." : "holds " + out + "; name one as PATH:REF.";
}

// "@12" -> 12.
std::optional<size_t> entry_number(std::string_view ref) {
    if (ref.size() < 2 || ref.size() > 8 || ref[0] != '@') return std::nullopt;
    size_t n = 0;
    for (char c : ref.substr(1)) {
        if (c < '0' || c > '9') return std::nullopt;
        n = n * 10 + static_cast<size_t>(c - '0');
    }
    return n;
}

// All that stands in the way of reading one image out of a layout.
class Choice {
public:
    Choice(BlobSource& source, const Wanted& wanted) : source_(source), wanted_(wanted) {}

    ChosenImage run(const std::string& ref) {
        const Index index = read_index();
        const auto [entries, name] = select(index, ref);
        return descend(entries, name, 0);
    }

private:
    std::string there_is(const Index& index) const { return source_.where() + " " + what_there_is(index); }
    [[noreturn]] void fail(Code code, const std::string& message, const std::string& hint = {}) const {
        throw Error(code, "conveyor failed to get: " + message, hint);
    }

    Index read_index() {
        const std::string& where = source_.where();
        const auto text = source_.document("index.json", max_document);
        const auto marker = source_.document("oci-layout", max_document);
        if (!text) {
            std::string hint = "A layout has the files oci-layout and index.json and the directory blobs.";
            if (source_.document("manifest.json", max_document))
                hint = "It looks like the output of \"docker save\": use docker-archive: for it.";
            throw Error(Code::not_found, where + " is not an OCI image layout: it has no index.json", hint);
        }
        if (!marker) {
            warnings_.push_back(where + " has no file oci-layout; read as an OCI image layout all the same");
        } else {
            const std::string name = where + ": oci-layout";
            const json::Document document(*marker, name, max_document);
            const std::string version = document.root()["imageLayoutVersion"].text_or();
            if (version.substr(0, 2) != "1.")
                throw Error(Code::unsupported,
                            name + " is of version \"" + json::printable(version) + "\"; only 1.x is known");
            if (version != "1.0.0")
                warnings_.push_back(name + " is of version " + json::printable(version) + "; read as 1.0.0");
        }
        return parse_index(*text, where + ": index.json");
    }

    // The entries that `ref` names, and the name they go by.
    std::pair<std::vector<Descriptor>, std::string> select(const Index& index, const std::string& ref) {
        if (ref.empty()) return the_only(index);
        if (const auto n = entry_number(ref)) {
            if (*n >= index.manifests.size())
                fail(Code::not_found,
                     "no descriptor found for reference \"" + ref + "\": the index has " +
                         std::to_string(index.manifests.size()) + " entries",
                     there_is(index));
            const Descriptor& d = index.manifests[*n];
            require_listing(d, ref);
            return {{d}, full_name_of(d)};
        }
        for (std::string_view key : {ref_name, containerd_name}) {
            std::vector<Descriptor> found;
            const Descriptor* other = nullptr;
            for (const Descriptor& d : index.manifests) {
                if (d.annotation(key) != ref || d.is_attestation()) continue;
                if (is_listing(d))
                    found.push_back(d);
                else
                    other = &d;
            }
            // Several of that name: one for each platform, or else the first counts.
            if (std::any_of(found.begin(), found.end(), [](const Descriptor& d) { return !d.platform; }))
                found.resize(1, found[0]);
            if (!found.empty()) return {found, full_name_of(found[0])};
            if (other) require_listing(*other, ref);
        }
        if (auto digest = Digest::try_parse(ref[0] == '@' ? std::string_view(ref).substr(1) : std::string_view(ref))) {
            for (const Descriptor& d : index.manifests)
                if (d.digest == *digest) return {{d}, full_name_of(d)};
            // Not listed at the top, but there: a manifest of some platform.
            if (const auto size = source_.size_of(*digest))
                return {{Descriptor{"", *digest, *size, {}, {}, {}, {}, {}}}, ""};
        }
        fail(Code::not_found, "no descriptor found for reference \"" + json::printable(ref) + "\"", there_is(index));
    }

    std::pair<std::vector<Descriptor>, std::string> the_only(const Index& index) {
        std::vector<Descriptor> images;
        for (const Descriptor& d : index.manifests)
            if (!d.is_attestation() && !is_attached(d) && is_listing(d)) images.push_back(d);
        if (images.empty()) {
            if (!index.manifests.empty()) require_listing(index.manifests[0], "");
            const bool docker = source_.document("manifest.json", max_document).has_value();
            fail(Code::not_found, "there is no image in " + source_.where(),
                 docker ? "Its index.json is empty, but it has a manifest.json: use docker-archive: for it." : "");
        }
        // One image may be listed once for each platform, or twice with the same bytes: that is no choice of images.
        const std::string name = full_name_of(images[0]);
        bool same_bytes = true, platforms = images.size() <= max_platforms;
        for (const Descriptor& d : images) {
            same_bytes = same_bytes && d.digest == images[0].digest;
            platforms = platforms && d.platform && !d.platform->architecture.empty() && full_name_of(d) == name;
        }
        for (size_t i = 0; platforms && i < images.size(); ++i)
            for (size_t j = 0; j < i && platforms; ++j) platforms = !(*images[i].platform == *images[j].platform);
        if (images.size() == 1 || same_bytes) return {{images[0]}, name};
        if (platforms) return {images, name};
        fail(Code::invalid, "more than one image in oci, choose an image", there_is(index));
    }

    void require_listing(const Descriptor& d, const std::string& ref) const {
        if (is_listing(d)) return;
        if (media_type::kind(d.media_type) == Kind::schema1)
            throw Error(Code::unsupported, source_.where() + ": " + d.digest.text() +
                                               " is a manifest of Docker's schema 1, which is out of use since 2017");
        throw Error(Code::unsupported,
                    source_.where() + ": " + (ref.empty() ? "the only entry" : "\"" + json::printable(ref) + "\"") +
                        " is of type \"" + json::printable(d.media_type) + "\", which is not an image");
    }

    // The bytes of a manifest, index or config, verified.
    std::string fetch(const Descriptor& d) {
        const std::string what = source_.where() + ": " + d.digest.text();
        const auto size = source_.size_of(d.digest);
        std::string bytes;
        if (size) {
            if (*size != d.size)
                throw Error(Code::corrupt, what + " has " + std::to_string(*size) + " bytes, and " +
                                               std::to_string(d.size) + " are announced");
            bytes = source_.read(d.digest, max_document);
        } else if (d.data) {
            bytes = *d.data;
        } else {
            throw Error(Code::not_found, source_.where() + ": blob " + d.digest.text() + " is missing",
                        "The layout is incomplete: copy it again with all its blobs (skopeo copy --all for several "
                        "platforms).");
        }
        verify(d.digest, bytes, source_.where());
        return bytes;
    }

    ChosenImage descend(const std::vector<Descriptor>& entries, const std::string& name, int depth) {
        if (depth > max_index_depth)
            throw Error(Code::limit, source_.where() + ": indexes are nested deeper than " +
                                         std::to_string(max_index_depth) + " levels");
        const Descriptor* chosen = &entries[0];
        if (entries.size() > 1 || depth > 0) {
            std::vector<Descriptor> usable;
            for (const Descriptor& d : entries)
                if (is_listing(d)) usable.push_back(d);
            const auto fitting = entries_for(usable, wanted_);
            if (fitting.empty()) refuse_platform(usable);
            // A layout may list platforms whose blobs were left out: the best that is there serves.
            const auto there = std::find_if(fitting.begin(), fitting.end(),
                                            [&](const Descriptor* d) { return d->data || source_.size_of(d->digest); });
            const Descriptor copy = there != fitting.end() ? **there : *fitting[0];
            return open(copy, name, depth);
        }
        return open(*chosen, name, depth);
    }

    [[noreturn]] void refuse_platform(const std::vector<Descriptor>& entries) const {
        const std::string there = list_platforms(entries);
        std::string message = "no image for " + wanted_.text() + " in " + source_.where();
        if (!there.empty())
            message += "; there is " + there;
        else if (entries.empty())
            message += "; the index is empty";
        else
            message += "; its " + std::to_string(entries.size()) + " images name no platform";
        fail(Code::not_found, message,
             there.empty() ? "Choose one by its digest: PATH@sha256:..." : "Choose another architecture with --arch.");
    }

    ChosenImage open(const Descriptor& d, const std::string& name, int depth) {
        std::string bytes = fetch(d);
        const std::string where = source_.where() + ": " + d.digest.text();
        auto body = parse_body(bytes, d.media_type, where);
        if (auto* index = std::get_if<Index>(&body)) {
            if (index->manifests.empty()) refuse_platform({});
            return descend(index->manifests, name, depth + 1);
        }
        auto& manifest = std::get<ImageManifest>(body);
        require_image(manifest, where);
        std::string config = fetch(manifest.config);
        ConfigFacts facts = parse_config(config, source_.where() + ": config " + manifest.config.digest.text());
        if (facts.diff_ids.size() != manifest.layers.size())
            throw Error(Code::corrupt, where + ": the manifest has " + std::to_string(manifest.layers.size()) +
                                           " layers and the config " + std::to_string(facts.diff_ids.size()) +
                                           " diff_ids");
        std::string warning = check_platform(facts.platform, wanted_, source_.where());
        if (!warning.empty()) warnings_.push_back(std::move(warning));
        std::string type = d.media_type;
        if (type.empty()) {
            const json::Document document(bytes, where, max_document);
            type = media_type::essence(document.root()["mediaType"].text_or(media_type::oci_manifest));
        }
        return ChosenImage{std::move(bytes),  std::move(type),  d.digest, std::move(manifest),
                           std::move(config), std::move(facts), name,     std::move(warnings_)};
    }

    BlobSource& source_;
    const Wanted& wanted_;
    std::vector<std::string> warnings_;
};

}  // namespace

ChosenImage choose_image(BlobSource& source, const std::string& ref, const Wanted& wanted) {
    return Choice(source, wanted).run(ref);
}

PathAndRef split_path_and_ref(const std::string& reference, const std::string& directory) {
    PathAndRef out;
    const size_t colon = reference.find(':');
    out.path = reference.substr(0, colon);
    if (colon != std::string::npos) out.ref = reference.substr(colon + 1);
    const auto absolute = [&](const std::string& path) {
        return path.empty() || path[0] == '/' ? path : directory + "/" + path;
    };
    const size_t at = out.path.rfind('@');
    if (at != std::string::npos) {
        const std::string tail = out.path.substr(at);
        struct stat st {};
        const bool digest = Digest::try_parse(tail.substr(1) + ":" + out.ref).has_value();
        const bool number =
            colon == std::string::npos && entry_number(tail) && ::stat(absolute(out.path).c_str(), &st) != 0;
        if (digest || number) {
            out.ref = digest ? tail + ":" + out.ref : tail;
            out.path.resize(at);
        }
    }
    if (out.path.empty())
        throw Error(Code::invalid, "\"" + json::printable(reference) + "\" names no path", "The form is PATH[:REF].");
    out.path = absolute(out.path);
    return out;
}

}  // namespace sources
