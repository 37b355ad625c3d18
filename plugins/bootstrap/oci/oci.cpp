// The source "oci": an OCI image layout directory.
#include <fcntl.h>
#include <sys/stat.h>

#include "family/layout_image.hpp"

namespace oci {

using namespace sources;

// The files of a layout below a directory. The directory is the user's own, so links in it are followed; only regular
// files are read. Blob paths are made from checked digests and nothing else.
class Directory final : public BlobSource {
public:
    explicit Directory(std::string path) : path_(std::move(path)) {
        while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
        struct stat st {};
        if (::stat(path_.c_str(), &st) != 0) throw_errno("cannot open", path_);
        if (!S_ISDIR(st.st_mode))
            throw Error(
                Code::invalid, path_ + " is a file, and the directory of an OCI image layout is expected",
                "Use oci-archive: for a layout in a tar file, docker-archive: for the output of \"docker save\".");
    }
    const std::string& where() const override { return path_; }
    std::optional<std::string> document(const std::string& name, uint64_t limit) override {
        return read_small(path_ + "/" + name, limit);
    }
    std::optional<uint64_t> size_of(const Digest& digest) override {
        uint64_t size = 0;
        return open_if_there(file_of(digest), size) ? std::optional(size) : std::nullopt;
    }
    std::string read(const Digest& digest, uint64_t limit) override {
        uint64_t size = 0;
        const Fd fd = open_regular(file_of(digest), size);
        if (size > limit)
            throw Error(Code::limit, path_ + ": blob " + digest.text() + " is larger than the limit of " +
                                         std::to_string(limit) + " bytes");
        return read_at(fd.get(), 0, size, file_of(digest));
    }
    std::string file_of(const Digest& digest) const {
        return path_ + "/blobs/" + std::string(digest.algorithm_name()) + "/" + digest.hex();
    }

private:
    std::string path_;
};

class DirectoryImage final : public LayoutImage {
public:
    DirectoryImage(ChosenImage chosen, Directory directory)
        : LayoutImage(std::move(chosen)), directory_(std::move(directory)) {}

protected:
    std::unique_ptr<Stream> open_blob(const Descriptor& layer, const Host& host) override {
        uint64_t size = 0;
        auto fd = open_if_there(directory_.file_of(layer.digest), size);
        if (!fd) blob_missing(layer, directory_.where());
        check_blob_size(layer, size, directory_.where());
        return stream_file(std::move(*fd), 0, size, directory_.file_of(layer.digest), host);
    }

private:
    Directory directory_;
};

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        const Place at = place(spec);
        Directory directory(at.path);
        return layout_identity(choose_image(directory, at.ref, at.wanted), at.path, at.ref);
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        const Place at = place(spec);
        Directory directory(at.path);
        ChosenImage chosen = choose_image(directory, at.ref, at.wanted);
        for (const std::string& w : chosen.warnings) host.warn(w);
        return std::make_unique<DirectoryImage>(std::move(chosen), std::move(directory));
    }

private:
    struct Place {
        std::string path, ref;
        Wanted wanted;
    };
    static Place place(const singularity::SourceSpec& spec) {
        PathAndRef split = split_path_and_ref(spec.reference, spec.directory);
        return {std::move(split.path), std::move(split.ref), {spec.arch, spec.variant, spec.arch_is_wish}};
    }
};

}  // namespace oci

SINGULARITY_PLUGIN(oci, oci::Source)
