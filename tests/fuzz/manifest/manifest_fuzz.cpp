// Any bytes as the JSON documents of an image: manifest, index, config, manifest.json, and as a reference.
#include <cstddef>
#include <cstdint>

#include "base/error.hpp"
#include "family/docker_archive.hpp"
#include "family/layout.hpp"
#include "family/naming.hpp"
#include "family/reference.hpp"
#include "image/config.hpp"
#include "image/time.hpp"

namespace {

using namespace sources;

// An archive in which each member is the same document.
class OneDocument final : public MemberSource {
public:
    explicit OneDocument(std::string_view text) : text_(text) {}
    const std::string& where() const override { return where_; }
    std::optional<uint64_t> size_of(const std::string& name) override {
        return name == "index.json" || name == "oci-layout" ? std::nullopt : std::optional<uint64_t>(text_.size());
    }
    std::string read(const std::string& name, uint64_t) override {
        return name == "manifest.json" ? std::string(text_) : R"({"os":"linux","rootfs":{"diff_ids":[]}})";
    }

private:
    std::string where_ = "fuzz";
    std::string_view text_;
};

// A layout whose index.json is the document.
class OneIndex final : public BlobSource {
public:
    explicit OneIndex(std::string_view text) : text_(text) {}
    const std::string& where() const override { return where_; }
    std::optional<std::string> document(const std::string& name, uint64_t) override {
        return name == "index.json" ? std::optional<std::string>(text_) : std::nullopt;
    }
    std::optional<uint64_t> size_of(const Digest&) override { return 2; }
    std::string read(const Digest&, uint64_t) override { return "{}"; }

private:
    std::string where_ = "fuzz";
    std::string_view text_;
};

template <class F>
void quietly(F&& f) {
    try {
        f();
    } catch (const singularity::Error&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Wanted wanted{"amd64", "", false};
    quietly([&] { sg::parse_image_config(text); });
    quietly([&] {
        auto body = parse_body(text, "", "fuzz");
        if (auto* m = std::get_if<ImageManifest>(&body)) require_image(*m, "fuzz");
        if (auto* i = std::get_if<Index>(&body)) {
            (void)entries_for(i->manifests, wanted);
            (void)list_platforms(i->manifests);
        }
    });
    quietly([&] { (void)parse_config(text, "fuzz"); });
    quietly([&] {
        OneDocument source(text);
        (void)choose_archived_image(source, "", wanted);
    });
    for (const char* ref : {"", "latest", "@0"})
        quietly([&] {
            OneIndex source(text);
            (void)choose_image(source, ref, wanted);
        });
    if (size > 4096) return 0;
    quietly([&] { (void)parse_image_reference(text).text(); });
    quietly([&] { (void)split_path_and_ref(std::string(text.substr(0, text.find('\0'))), "/nowhere"); });
    (void)default_file_name(text, text);
    (void)sg::parse_rfc3339(text);
    return 0;
}
