#include "oras/publisher.hpp"

#include <dlfcn.h>
#include <openssl/evp.h>

#include <memory>
#include <singularity/format.hpp>
#include <singularity/json.hpp>

#include "family/files.hpp"
#include "oras/artifact.hpp"
#include "registry/session.hpp"
#include "registry/site.hpp"
#include "registry/upload.hpp"

namespace oras {

using namespace sources;
namespace json = singularity::json;

namespace {

constexpr uint64_t step = 1 << 20;
constexpr int64_t default_chunk = 64 << 20;

// The magic behind the launch line (SIF specification, "Global header").
void require_sif(int fd, uint64_t size, const std::string& path) {
    if (size >= 42 && read_at(fd, 32, 9, path) == "SIF_MAGIC") return;
    throw Error(Code::invalid, "\"" + path + "\" is not a SIF", "Make one: singularity build x.sif " + path);
}

// libcrypto is loaded when something is pushed: a start from an oras: URI needs nothing of it, and every library costs
// it half a millisecond.
class Crypto {
public:
    decltype(&::EVP_MD_CTX_new) md_new;
    decltype(&::EVP_MD_CTX_free) md_free;
    decltype(&::EVP_sha256) sha256;
    decltype(&::EVP_DigestInit_ex) init;
    decltype(&::EVP_DigestUpdate) update;
    decltype(&::EVP_DigestFinal_ex) final;

    static const Crypto& load() {
        static const Crypto loaded;
        return loaded;
    }

private:
    Crypto() {
        handle_ = ::dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
        if (!handle_) {
            const char* why = ::dlerror();
            throw Error(Code::unsupported, "an image cannot be pushed without libcrypto",
                        "Install the package libssl3.", why ? why : "");
        }
        find(md_new, "EVP_MD_CTX_new");
        find(md_free, "EVP_MD_CTX_free");
        find(sha256, "EVP_sha256");
        find(init, "EVP_DigestInit_ex");
        find(update, "EVP_DigestUpdate");
        find(final, "EVP_DigestFinal_ex");
    }
    template <class Function>
    void find(Function& to, const char* name) {
        to = reinterpret_cast<Function>(::dlsym(handle_, name));
        if (!to) throw Error(Code::unsupported, std::string("libcrypto has no ") + name);
    }
    void* handle_;
};

Digest hash_file(int fd, uint64_t size, const std::string& path, const Host& host) {
    const Crypto& crypto = Crypto::load();
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> ctx(crypto.md_new(), crypto.md_free);
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    bool fine = ctx && crypto.init(ctx.get(), crypto.sha256(), nullptr) == 1;
    const auto stream = stream_file(reopen(fd, path), 0, size, path, host);
    for (Slice s = stream->next(); fine && s.size() > 0; s = stream->next())
        fine = crypto.update(ctx.get(), s.data(), s.size()) == 1;
    if (!fine || crypto.final(ctx.get(), out, &length) != 1)
        throw Error(Code::internal, "libcrypto cannot compute a sha256 digest");
    return Digest::of_bytes(Digest::Algorithm::sha256, out, length);
}

// The label build-date of the image in the file; "" when it has none, or cannot be looked into (encrypted, no root
// file system): it is pushed all the same.
std::string build_date(const std::string& path) {
    const auto* table = singularity::detail::host_table<sg_host_image_v1>("image");
    if (!table) return {};
    try {
        const sg_format_v1* format = nullptr;
        sg_image_file* image = nullptr;
        singularity::check([&](sg_error* e) { return table->open(path.c_str(), &format, &image, e); });
        const std::unique_ptr<sg_image_file, void (*)(sg_image_file*)> closer(image, format->close);
        const sg_root_v1* functions = nullptr;
        sg_root* handle = nullptr;
        singularity::check([&](sg_error* e) { return format->root(image, &functions, &handle, e); });
        const singularity::ForeignRoot root(functions, handle);
        const uint64_t node = root.find(".singularity.d/labels.json");
        if (node == SG_NO_NODE) return {};
        const uint64_t size = root.stat(node).size;
        if (size == 0 || size > step) return {};
        std::string text(size, '\0');
        for (uint64_t at = 0; at < size;) {
            const uint64_t got = root.read(node, at, text.data() + at, size - at);
            if (got == 0) return {};
            at += got;
        }
        const json::Document document(text, "labels.json");
        return document.root()["org.label-schema.build-date"].text_or();
    } catch (const Error&) {
        return {};
    }
}

std::map<std::string, std::string> annotations_of(const singularity::SourceSpec& to) {
    std::map<std::string, std::string> out;
    for (const auto& [key, value] : to.options) {
        if (key != "annotation") continue;
        const size_t equals = value.find('=');
        if (equals == 0 || equals == std::string::npos)
            throw Error(Code::usage, "--annotation takes KEY=VALUE, not \"" + json::printable(value) + "\"");
        out[value.substr(0, equals)] = value.substr(equals + 1);
    }
    return out;
}

std::vector<std::string> all_options(const singularity::SourceSpec& to, std::string_view key) {
    std::vector<std::string> out;
    for (const auto& [k, v] : to.options)
        if (k == key) out.push_back(v);
    return out;
}

}  // namespace

std::string Publisher::publish(const singularity::SourceSpec& to, const std::string& path, const Host& host) {
    const ImageReference reference = registry::reference_of(to);
    if (!reference.digest.empty())
        throw Error(Code::usage, "an image is pushed to a tag and not to a digest",
                    "Push to " + reference.name() + ":TAG.");
    const std::string tag = reference.tag.empty() ? "latest" : reference.tag;
    Artifact artifact{hash(Digest::Algorithm::sha256, ""), 0, path.substr(path.rfind('/') + 1), annotations_of(to)};
    const Fd fd = open_regular(path, artifact.size);
    require_sif(fd.get(), artifact.size, path);

    registry::Endpoint endpoint =
        registry::target_of(reference, registry::effective_conf(), registry::wants_no_https(to));
    auto accounts = std::make_shared<registry::Accounts>(to);
    accounts->ask(endpoint.server, host);
    registry::Client client(std::move(endpoint), accounts);
    client.want("pull,push");
    const std::vector<std::string> elsewhere = all_options(to, "mount-from");
    for (const std::string& from : elsewhere) client.want_pull_from(from);

    artifact.digest = hash_file(fd.get(), artifact.size, path, host);
    const std::string created = created_of_build_date(build_date(path));
    if (!created.empty()) artifact.annotations["org.opencontainers.image.created"] = created;
    const std::string manifest = manifest_json(artifact);

    registry::Uploader uploader(
        client, static_cast<uint64_t>(std::max<int64_t>(1, host.integer("oras.chunk_size", default_chunk))), "oras");
    const auto open_file = [&](uint64_t offset, uint64_t count) {
        return stream_file(reopen(fd.get(), path), offset, count, path, host);
    };
    const auto outcome = uploader.blob(
        {artifact.digest, artifact.size, open_file, "Copying blob " + artifact.digest.text()}, elsewhere, host);
    if (outcome == registry::Uploader::Outcome::present)
        host.info("The registry has blob " + artifact.digest.text() + " already");
    else if (outcome == registry::Uploader::Outcome::mounted)
        host.info("The registry took blob " + artifact.digest.text() + " from another of its repositories");
    const auto open_config = [](uint64_t offset, uint64_t count) {
        return registry::stream_text(std::string(config_bytes.substr(offset, count)));
    };
    uploader.blob({hash(Digest::Algorithm::sha256, config_bytes), config_bytes.size(), open_config, "Copying config"},
                  {}, host);
    uploader.manifest(tag, manifest, std::string(manifest_type), host);
    host.info("Digest: " + hash(Digest::Algorithm::sha256, manifest).text());
    return reference.name() + ":" + tag;
}

}  // namespace oras
