#include "family/streamed_docker_image.hpp"

namespace sources {

// The members that were kept while they passed.
class StreamedDockerImage::Kept final : public MemberSource {
public:
    explicit Kept(StreamedDockerImage& image) : image_(image) {}
    const std::string& where() const override { return image_.path(); }
    std::optional<uint64_t> size_of(const std::string& name) override { return image_.SequentialArchive::size_of(name); }
    std::string read(const std::string& name, uint64_t) override {
        if (const std::string* text = image_.document(name)) return *text;
        throw Error(Code::invalid, where() + ": \"" + name + "\" is not a JSON document of at most " +
                                       std::to_string(max_document) + " bytes");
    }

private:
    StreamedDockerImage& image_;
};

void StreamedDockerImage::complete(const Host& host) {
    Kept kept(*this);
    image_ = choose_archived_image(kept, ref_, wanted_);
    for (const std::string& w : image_->warnings) host.warn(w);
}

const ArchivedImage& StreamedDockerImage::image() const {
    if (!image_) throw Error(Code::internal, "the archive has not been read to its end");
    return *image_;
}

singularity::Config StreamedDockerImage::config() { return {image().config, image().config_digest.text()}; }
uint64_t StreamedDockerImage::count() { return image_ ? image_->layers.size() : 0; }
singularity::Blob StreamedDockerImage::describe(uint64_t index) { return describe_layer(image(), index); }
uint64_t StreamedDockerImage::part(uint64_t index) {
    if (index >= image().layers.size()) throw Error(Code::not_found, "the image has no layer " + std::to_string(index));
    return part_of(image().layers[index].member);
}

}  // namespace sources
