// The source "docker-archive": what `docker save` and `podman save` write, plain or compressed.
#include "family/docker_archive.hpp"

#include "family/layout.hpp"
#include "family/naming.hpp"
#include "family/streamed_docker_image.hpp"

namespace docker_archive {

using namespace sources;

constexpr const char* if_directory =
    "It reads the file that \"docker save\" writes; use oci: for the directory of an OCI image layout.";

class TarMembers final : public MemberSource {
public:
    explicit TarMembers(const TarIndex& tar) : tar_(tar) {}
    const std::string& where() const override { return tar_.path(); }
    std::optional<uint64_t> size_of(const std::string& name) override {
        const auto* m = tar_.file_through_links(name);
        return m ? std::optional(m->size) : std::nullopt;
    }
    std::string read(const std::string& name, uint64_t limit) override {
        return tar_.read(*tar_.file_through_links(name), name, limit);  // only asked for what size_of found
    }

private:
    const TarIndex& tar_;
};

class TarImage final : public singularity::LayeredImage {
public:
    TarImage(ArchivedImage image, std::unique_ptr<TarIndex> tar) : image_(std::move(image)), tar_(std::move(tar)) {}
    singularity::Config config() override { return {image_.config, image_.config_digest.text()}; }
    uint64_t count() override { return image_.layers.size(); }
    singularity::Blob describe(uint64_t index) override { return describe_layer(image_, index); }
    std::unique_ptr<Stream> layer(uint64_t index, const Host& host) override {
        if (index >= image_.layers.size())
            throw Error(Code::not_found, "the image has no layer " + std::to_string(index));
        const std::string& name = image_.layers[index].member;
        return tar_->stream(*tar_->file_through_links(name), name, host);
    }

private:
    ArchivedImage image_;
    std::unique_ptr<TarIndex> tar_;
};

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host& host) override {
        const PathAndRef at = split_path_and_ref(spec.reference, spec.directory);
        singularity::Identity id;
        if (!is_plain_archive(at.path, if_directory)) {
            // What is inside would cost a reading of the whole: no key, so it is not cached.
            id.name = default_file_name(at.path, at.ref);
            return id;
        }
        OpenedArchive file = open_archive(at.path, if_directory);
        const TarIndex tar(std::move(file.fd), file.size, at.path, host);
        TarMembers members(tar);
        const ArchivedImage image = choose_archived_image(members, at.ref, wanted(spec));
        // The config names its layers by their content, so its digest stands for the whole image.
        id.key = image.config_digest.text();
        id.name = default_file_name(at.path, image.tag);
        id.cache_area = "oci-tmp";
        id.arch = image.facts.platform.architecture;
        id.variant = image.facts.platform.variant;
        return id;
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        const PathAndRef at = split_path_and_ref(spec.reference, spec.directory);
        OpenedArchive file = open_archive(at.path, if_directory);
        if (!file.plain) return std::make_unique<StreamedDockerImage>(std::move(file.fd), at.path, at.ref, wanted(spec));
        auto tar = std::make_unique<TarIndex>(std::move(file.fd), file.size, at.path, host);
        TarMembers members(*tar);
        ArchivedImage image = choose_archived_image(members, at.ref, wanted(spec));
        for (const std::string& w : image.warnings) host.warn(w);
        return std::make_unique<TarImage>(std::move(image), std::move(tar));
    }

private:
    static Wanted wanted(const singularity::SourceSpec& spec) { return {spec.arch, spec.variant, spec.arch_is_wish}; }
};

}  // namespace docker_archive

// The spelling is the name.
// clang-format off
SINGULARITY_PLUGIN(docker-archive, docker_archive::Source)
// clang-format on
