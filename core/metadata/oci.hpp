// What a build puts into a root file system besides the image's own files: /.singularity.d and what belongs to it
// (Apptainer's user guide, "Environment and Metadata", "Container Metadata"), and the same as parts of an image file.
//
//     const Metadata metadata = Metadata::for_image(facts);
//     for (const auto& part : metadata.parts()) writer.part(part.type, part.name, part.bytes);
//     Tree tree = merge_layers(...);
//     metadata.apply(tree, writer, call);
//     writer.finish(tree);
//
// Equal facts give equal bytes; every time is facts.time, or 0 when that is unset. All files belong to root.
#pragma once
#include <cstdint>
#include <optional>
#include <singularity/format.hpp>
#include <string>
#include <utility>
#include <vector>

#include "image/config.hpp"
#include "metadata/attributes.hpp"
#include "metadata/sections.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"

namespace sg {

struct BuildFacts {
    std::vector<std::pair<std::string, std::string>> header;  // words of the definition's header: bootstrap, from, ...
    std::optional<ImageConfig> config;                        // of an OCI image
    std::string kept_config;                // without `config`: what the base has recorded of its own, as it is
    std::string arch;                       // Go's name
    std::optional<int64_t> time;            // seconds since 1970 UTC
    std::string version;                    // of the product
    std::string deffile;                    // the definition's text, as it is recorded
    std::optional<ImageSections> sections;  // of a definition file
    bool command_runs = false;              // IncludeCmd: CMD alone is the runscript
    // The base was converted from `config` for this build: its definition is nobody's history.
    bool base_is_new = false;
};

// What a root file system says of itself, as far as a build that goes on from it needs it.
struct BaseMetadata {
    Attributes attributes;
    std::optional<std::string> environment, apps;  // the two files that grow, as they are
    bool runscript = false, startscript = false;   // whether there are such files

    // The same as bytes, to pass on and to keep. unpacked() throws Code::corrupt.
    std::string packed() const;
    static BaseMetadata unpacked(std::string_view bytes);
};
// A damaged labels.json is told and counts as empty. Throws as read_attributes does.
BaseMetadata read_base_metadata(const singularity::ForeignRoot& root);

class Metadata {
public:
    // For a root file system made of layers, or of nothing. With a config the image's own /.singularity.d, /etc/hosts
    // and /etc/resolv.conf are overwritten.
    static Metadata for_image(const BuildFacts& facts);
    // For a copy of `base`: scripts that it has stay, labels are merged, its definition goes into the history.
    static Metadata for_base(const BuildFacts& facts, const BaseMetadata& base);

    // What a root file system that is neither has before scripts run in it, so that they may add to it: files, and
    // links (name, target).
    static std::vector<SectionFile> first_files();
    static std::vector<std::pair<std::string, std::string>> first_links();

    struct Part {
        std::string type, name, bytes;
    };
    // In the order in which a SIF has them: the definition, inspect-metadata.json, oci-config.json.
    std::vector<Part> parts() const;

    // Adds files, directories and links to `tree`, their bytes to `writer`. Links of the image are followed inside
    // the tree only. `call` may be NULL.
    void apply(Tree& tree, ImageWriter& writer, const sg_call* call) const;

    const Attributes& attributes() const { return attributes_; }

private:
    struct File {
        std::string path, text;
        uint32_t mode = 0644;
        bool replace = true;  // false: what the tree has there stays
    };
    int64_t time() const { return facts_.time.value_or(0); }
    File& file(std::string_view path, uint32_t mode);
    void add_sections(const ImageSections& sections, const std::string& environment, const std::string& apps);
    void keep_history(Tree& tree) const;
    void put(Tree& tree, ImageWriter& writer, const File& file) const;
    void put_empty(Tree& tree, std::string path) const;

    BuildFacts facts_;
    bool oci_ = false;
    bool new_ = false;  // nobody had this root file system before
    std::vector<std::string> directories_;  // of apps
    std::vector<File> files_;
    Attributes attributes_;
};

}  // namespace sg
