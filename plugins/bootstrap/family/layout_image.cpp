#include "family/layout_image.hpp"

#include <singularity/json.hpp>

#include "family/naming.hpp"

namespace sources {

const Descriptor& LayoutImage::layer_of(const ChosenImage& image, uint64_t index) {
    if (index >= image.manifest.layers.size())
        throw Error(Code::not_found, "the image has no layer " + std::to_string(index));
    return image.manifest.layers[index];
}

singularity::Blob LayoutImage::describe_layer(const ChosenImage& image, uint64_t index) {
    const Descriptor& d = layer_of(image, index);
    return {d.media_type, d.digest.text(), image.facts.diff_ids[index], d.size, d.annotations};
}

void blob_missing(const Descriptor& layer, const std::string& where) {
    std::string hint = "The layout is incomplete: copy it again with all its blobs.";
    if (singularity::media_type::is_foreign_layer(layer.media_type) && !layer.urls.empty())
        hint = "It is a layer that is not redistributed; it can be had from " +
               singularity::json::printable(layer.urls[0], 400) + ".";
    throw Error(Code::not_found, where + ": blob " + layer.digest.text() + " is missing", hint);
}

void check_blob_size(const Descriptor& layer, uint64_t size, const std::string& where) {
    if (size == layer.size) return;
    throw Error(Code::corrupt,
                where + ": blob " + layer.digest.text() + " has " + std::to_string(size) +
                    " bytes; the manifest says " + std::to_string(layer.size),
                "The file was cut or changed after it was written: fetch or save the image again.");
}

singularity::Identity layout_identity(const ChosenImage& image, const std::string& path, const std::string& ref) {
    singularity::Identity id;
    id.key = image.digest.text();
    id.name = default_file_name(path, image.name.empty() ? ref : image.name);
    id.cache_area = "oci-tmp";
    id.arch = image.facts.platform.architecture;
    id.variant = image.facts.platform.variant;
    return id;
}

}  // namespace sources
