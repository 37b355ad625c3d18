// The source "oci-archive": an OCI image layout in a tar file, plain or compressed.
#include "family/archive.hpp"
#include "family/layout_image.hpp"
#include "family/naming.hpp"

namespace oci_archive {

using namespace sources;

constexpr const char* if_directory = "Use oci: for the directory of an OCI image layout.";

std::string member_of(const Digest& digest) {
    return "blobs/" + std::string(digest.algorithm_name()) + "/" + digest.hex();
}

// A layout in a plain tar. Only regular members count: a link could not stand for a blob in a layout either.
class TarLayout final : public BlobSource {
public:
    explicit TarLayout(const TarIndex& tar) : tar_(tar) {}
    const std::string& where() const override { return tar_.path(); }
    std::optional<std::string> document(const std::string& name, uint64_t limit) override {
        const auto* m = tar_.file(name);
        return m ? std::optional(tar_.read(*m, name, limit)) : std::nullopt;
    }
    std::optional<uint64_t> size_of(const Digest& digest) override {
        const auto* m = tar_.file(member_of(digest));
        return m ? std::optional(m->size) : std::nullopt;
    }
    std::string read(const Digest& digest, uint64_t limit) override {
        const std::string name = member_of(digest);
        return tar_.read(*tar_.file(name), name, limit);  // only asked for what size_of found
    }

private:
    const TarIndex& tar_;
};

class TarImage final : public LayoutImage {
public:
    TarImage(ChosenImage chosen, std::unique_ptr<TarIndex> tar)
        : LayoutImage(std::move(chosen)), tar_(std::move(tar)) {}

protected:
    std::unique_ptr<Stream> open_blob(const Descriptor& layer, const Host& host) override {
        const std::string name = member_of(layer.digest);
        const auto* m = tar_->file(name);
        if (!m) blob_missing(layer, tar_->path());
        check_blob_size(layer, m->size, tar_->path());
        return tar_->stream(*m, name, host);
    }

private:
    std::unique_ptr<TarIndex> tar_;
};

// A compressed archive: read once, the image is known when all of it has come.
class StreamedImage final : public SequentialArchive {
public:
    StreamedImage(Fd fd, const std::string& path, std::string ref, Wanted wanted)
        : SequentialArchive(std::move(fd), path), ref_(std::move(ref)), wanted_(std::move(wanted)) {}

    singularity::Manifest manifest() override { return {chosen().bytes, chosen().media_type}; }
    singularity::Config config() override { return {chosen().config, chosen().manifest.config.digest.text()}; }
    uint64_t count() override { return chosen_ ? chosen_->manifest.layers.size() : 0; }
    singularity::Blob describe(uint64_t index) override { return LayoutImage::describe_layer(chosen(), index); }
    uint64_t part(uint64_t index) override { return part_of(member_of(LayoutImage::layer_of(chosen(), index).digest)); }

protected:
    void complete(const Host& host) override {
        Kept kept(*this);
        chosen_ = choose_image(kept, ref_, wanted_);
        for (const Descriptor& layer : chosen_->manifest.layers) {
            const auto size = size_of(member_of(layer.digest));
            if (!size) blob_missing(layer, path());
            check_blob_size(layer, *size, path());
        }
        for (const std::string& w : chosen_->warnings) host.warn(w);
    }

private:
    class Kept final : public BlobSource {
    public:
        explicit Kept(StreamedImage& image) : image_(image) {}
        const std::string& where() const override { return image_.path(); }
        std::optional<std::string> document(const std::string& name, uint64_t) override {
            const std::string* text = image_.SequentialArchive::document(name);
            return text ? std::optional(*text) : std::nullopt;
        }
        std::optional<uint64_t> size_of(const Digest& digest) override {
            return image_.SequentialArchive::size_of(member_of(digest));
        }
        std::string read(const Digest& digest, uint64_t) override {
            if (const std::string* text = image_.SequentialArchive::document(member_of(digest))) return *text;
            throw Error(Code::invalid, where() + ": " + digest.text() + " is not a JSON document of at most " +
                                           std::to_string(max_document) + " bytes");
        }

    private:
        StreamedImage& image_;
    };

    const ChosenImage& chosen() const {
        if (!chosen_) throw Error(Code::internal, "the archive has not been read to its end");
        return *chosen_;
    }
    std::string ref_;
    Wanted wanted_;
    std::optional<ChosenImage> chosen_;
};

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host& host) override {
        const PathAndRef at = split_path_and_ref(spec.reference, spec.directory);
        if (is_plain_archive(at.path, if_directory)) {
            OpenedArchive file = open_archive(at.path, if_directory);
            const TarIndex tar(std::move(file.fd), file.size, at.path, host);
            TarLayout layout(tar);
            return layout_identity(choose_image(layout, at.ref, wanted(spec)), at.path, at.ref);
        }
        // What is inside would cost a reading of the whole: no key, so it is not cached.
        singularity::Identity id;
        id.name = default_file_name(at.path, at.ref);
        return id;
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        const PathAndRef at = split_path_and_ref(spec.reference, spec.directory);
        OpenedArchive file = open_archive(at.path, if_directory);
        if (!file.plain) return std::make_unique<StreamedImage>(std::move(file.fd), at.path, at.ref, wanted(spec));
        auto tar = std::make_unique<TarIndex>(std::move(file.fd), file.size, at.path, host);
        TarLayout layout(*tar);
        ChosenImage chosen = choose_image(layout, at.ref, wanted(spec));
        for (const std::string& w : chosen.warnings) host.warn(w);
        return std::make_unique<TarImage>(std::move(chosen), std::move(tar));
    }

private:
    static Wanted wanted(const singularity::SourceSpec& spec) { return {spec.arch, spec.variant, spec.arch_is_wish}; }
};

}  // namespace oci_archive

// The spelling is the name.
// clang-format off
SINGULARITY_PLUGIN(oci-archive, oci_archive::Source)
// clang-format on
