#include "library/publisher.hpp"

#include <singularity/json.hpp>
#include <singularity/policy.hpp>
#include <singularity/text.hpp>

#include "library/head_check.hpp"
#include "library/upload.hpp"
#include "remotes/active.hpp"
#include "remotes/file.hpp"
#include "remotes/line.hpp"
#include "remotes/url.hpp"

namespace library {

namespace json = singularity::json;
using remotes::Call;
using singularity::percent_encoded;

namespace {

// `fields`: names and texts.
std::string object(const std::vector<std::pair<const char*, std::string>>& fields) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.StartObject();
    for (const auto& [key, value] : fields) {
        writer.Key(key);
        writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    }
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

// A semver: whether `text` is `wanted` or later, where both may be pre-releases as "2.0.0-alpha.2".
bool at_least_alpha(const std::string& text, unsigned alpha) {
    unsigned major = 0, minor = 0, patch = 0, number = 0;
    const int n = std::sscanf(text.c_str(), "%u.%u.%u-alpha.%u", &major, &minor, &patch, &number);
    if (n < 3) return false;
    if (major != 2 || minor != 0 || patch != 0) return major >= 2;
    if (text.find('-') == std::string::npos) return true;                        // the release itself
    return n == 4 ? number >= alpha : text.find("-alpha") == std::string::npos;  // beta, rc
}

struct Versions {
    bool v2_upload = false, arch_tags = false;
};

Versions versions_of(const remotes::Service& service, const Host& host) {
    Call call;
    call.path = "version";
    try {
        const auto data = service.data(call, host);
        if (!data) return {};
        const json::Document document(*data, "the version of " + service.base());
        const std::string api = document.root()["apiVersion"].text_or();
        return {at_least_alpha(api, 1), at_least_alpha(api, 2)};
    } catch (const Error& e) {
        if (e.code() == Code::cancelled || e.code() == Code::network || e.code() == Code::timeout ||
            e.code() == Code::unauthorized)
            throw;
        host.debug(e.message());
        return {};
    }
}

std::string id_in(const std::string& data, const std::string& what) {
    const json::Document document(data, what);
    return document.root()["id"].text();
}

class Push {
public:
    Push(const Client& client, std::string what, const Host& host)
        : client_(client), service_(client.service()), what_(std::move(what)), host_(host) {}

    // The object at `path`, made by a POST to `list` when there is none; its id.
    std::string id_of(const std::string& path, const std::string& list, const std::string& body) {
        Call look;
        look.path = path;
        if (const auto data = service_.data(look, host_); data && *data != "null")
            return id_in(*data, "the answer of " + client_.base());
        return id_in(create(list, body), "the answer of " + client_.base());
    }

    ImageRecord image(const LibraryReference& to, const std::string& container, const std::string& hash,
                      const std::string& arch, const std::string& description) {
        if (auto known = client_.image(to.container(), hash, arch, host_)) return *known;
        return read_image(
            create("v1/images", object({{"hash", hash}, {"description", description}, {"container", container}})),
            "the answer of " + client_.base());
    }

    void tag(bool with_arch, const std::string& container, const std::string& arch, const std::string& tag,
             const std::string& image) {
        host_.info("Setting tag " + tag);
        const std::string place = std::string(with_arch ? "v2" : "v1") + "/tags/" + percent_encoded(container);
        create(place, with_arch ? object({{"Arch", arch}, {"Tag", tag}, {"ImageID", image}})
                                : object({{"Tag", tag}, {"ImageID", image}}));
    }

private:
    std::string create(const std::string& list, const std::string& body) {
        Call call;
        call.method = "POST";
        call.path = list;
        call.json = body;
        const remotes::Reply reply = service_.ask(call, host_);
        if (reply.status != 200 && reply.status != 201) service_.refuse(reply, what_);
        const json::Document document(reply.text, "the answer of " + client_.base());
        return document.root()["data"].dump();
    }

    const Client& client_;
    const remotes::Service& service_;
    const std::string what_;
    const Host host_;
};

std::string amount(uint64_t bytes) {
    static constexpr std::pair<const char*, uint64_t> units[] = {
        {"TiB", UINT64_C(1) << 40}, {"GiB", UINT64_C(1) << 30}, {"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10}};
    char text[64];
    for (const auto& [name, size] : units)
        if (bytes >= size) {
            std::snprintf(text, sizeof text, "%.2f %s", static_cast<double>(bytes) / static_cast<double>(size), name);
            return text;
        }
    return std::to_string(bytes) + " B";
}

// The pages of the site, where its address is known.
std::string pages_of(const Client& client) {
    const auto config = remotes::read_user(remotes::Paths::find());
    const remotes::Remote* active = config.find(config.active);
    return active && remotes::same_origin(active->url(), client.base()) ? active->url() : client.base();
}

void tell(const Completed& done, const Client& client) {
    if (!done.told) return;
    std::string text = "\nLibrary storage: using " + amount(done.quota_used) + " out of ";
    if (done.quota_total == 0)
        text += "unlimited quota\n";
    else {
        char percent[32];
        std::snprintf(percent, sizeof percent, "%.1f",
                      100.0 * static_cast<double>(done.quota_used) / static_cast<double>(done.quota_total));
        text += amount(done.quota_total) + " quota (" + percent + "% used)\n";
    }
    if (!done.container_url.empty()) {
        const bool whole = done.container_url.find("://") != std::string::npos;
        const size_t begin = done.container_url.find_first_not_of('/');
        text += "Container URL: " +
                json::printable(whole ? done.container_url
                                      : pages_of(client) + "/" +
                                            (begin == std::string::npos ? "" : done.container_url.substr(begin))) +
                "\n";
    }
    remotes::print(text);
}

// Keys and signatures are another plugin's, which the host asks. Throws Code::veto.
void need_signature(const std::string& path, bool is_signed, const Host& host) {
    if (!is_signed)
        throw Error(Code::veto, "\"" + path + "\": image is not signed",
                    "Sign it (singularity sign " + path + "), or push it as it is with --allow-unsigned.");
    const auto signers = singularity::signers_of(path, host);
    if (!signers) {
        host.warn("No plugin that is registered here checks signatures: those of " + path + " were not");
        return;
    }
    if (signers->empty())
        throw Error(Code::veto, "\"" + path + "\": no key that is known here has signed all of the image as it is",
                    "singularity verify " + path +
                        " says why. singularity key pull takes the key of who signed it; --allow-unsigned pushes it as "
                        "it is.");
    std::string names;
    for (const auto& fingerprint : *signers) names += (names.empty() ? "" : ", ") + fingerprint;
    host.info("The image is signed by " + names);
}

}  // namespace

std::string Publisher::publish(const singularity::SourceSpec& to, const std::string& path, const Host& host) {
    const LibraryReference reference = LibraryReference::parse(to.reference);
    reference.need_whole("push");
    for (const std::string& tag : reference.tags)
        if (is_hash(tag))
            throw Error(Code::usage, "an image is pushed to a tag and not to a hash",
                        "library://" + reference.container() + ":TAG");
    const ImageFacts facts = facts_of(path);
    if (facts.arch.empty()) throw Error(Code::unsupported, "unknown architecture in SIF file \"" + path + "\"");
    if (to.option("allow-unsigned") == "true")
        host.warn("Skipping container verification");
    else
        need_signature(path, facts.is_signed, host);
    const Client client = client_for(reference, to.option("library"), to.option("no-https") == "true", host);
    if (client.service().token().empty())
        throw Error(Code::unauthorized, "a token is needed to push to the library at " + client.base(),
                    "Log in: singularity remote login");
    const OutgoingFile file = open_outgoing(path, host);
    const std::string what = "cannot push " + path.substr(path.rfind('/') + 1), none = "No description";
    const std::string& entity = reference.path[0];
    const std::string& collection = reference.path[1];

    const Versions versions = versions_of(client.service(), host);
    Push push(client, what, host);
    const std::string entity_id =
        push.id_of("v1/entities/" + entity, "v1/entities", object({{"name", entity}, {"description", none}}));
    const std::string collection_id =
        push.id_of("v1/collections/" + entity + "/" + collection, "v1/collections",
                   object({{"name", collection}, {"description", none}, {"entity", entity_id}}));
    // A new container is described as its first image is: searches look there.
    const std::string description = to.option("description");
    const std::string container_id = push.id_of("v1/containers/" + reference.container(), "v1/containers",
                                                object({{"name", reference.path[2]},
                                                        {"description", description.empty() ? none : description},
                                                        {"collection", collection_id}}));
    const ImageRecord image = push.image(reference, container_id, "sha256." + file.sha256, facts.arch, description);
    Completed done;
    if (image.uploaded) {
        host.info("Image is already present in the library - not uploading.");
    } else {
        host.info("Now uploading " + path.substr(path.rfind('/') + 1) + " to the library");
        done = Upload(client, file, image.id, what).run(versions.v2_upload, host);
    }
    for (const std::string& tag : reference.tags) push.tag(versions.arch_tags, container_id, facts.arch, tag, image.id);
    tell(done, client);
    std::string tags;
    for (const std::string& tag : reference.tags) tags += (tags.empty() ? ":" : ",") + tag;
    return "library://" + (reference.host.empty() ? "" : reference.host + "/") + reference.container() + tags;
}

}  // namespace library
