// What a stage of a definition stands on: the header's source, opened.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "definition/definition.hpp"
#include "fetch/opened_source.hpp"
#include "fetch/spool.hpp"
#include "image/config.hpp"
#include "plugin/host.hpp"

namespace sg {

// A directory for temporary files with everything in it, removed at the end.
class TemporaryDirectory {
public:
    // Below `parent`, 0700. Removes those there that killed builds of this account and machine have left. Throws
    // permission, no_space.
    explicit TemporaryDirectory(const std::string& parent);
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory();
    const std::string& path() const { return path_; }

private:
    std::string path_;
    UniqueFd lock_;  // of the directory, for who cannot see whether this process lives
};

// Exactly one of `layers`, `image`, `recipe`, `empty` and `absent` counts.
struct RecipeBase {
    SourceRequest request;
    std::unique_ptr<OpenedSource> source;
    std::unique_ptr<Spool> spool;
    std::optional<Layers> layers;
    std::unique_ptr<OpenedImage> image;
    bool recipe = false, empty = false;
    bool absent = false;  // of a BaseWish that makes nothing: it would have to be fetched or converted first

    std::optional<ImageConfig> config;  // of an OCI image
    std::string kept_config;            // what an `image` that is not new has recorded of the image that it was made from
    bool is_new = false;                // `image` was converted from layers, now or by an earlier build
    std::string arch, identity;         // identity: equal texts, equal bytes (as far as that can be told cheaply)
};

struct BaseWish {
    std::string directory, arch, temporary;  // where the user stands; --arch; --tmpdir
    Pairs options;                           // options of plugins on the command line
    bool as_image = false;                   // layers are of no use: it is to be mounted
    bool at_hand = false;                    // nothing is to be fetched or converted for it
};

// The request that a header makes. Throws with the place for a source that nobody provides.
SourceRequest header_request(PluginHost& plugins, const definition::Text& text, const definition::Stage& stage,
                             const BaseWish& wish);

// Throws Code::veto, with the place, when the site's policies forbid the base of a stage: its source, its repository, or the
// image at its path. Sources that nobody here provides are for others to judge. `update`: the last stage has none.
void permit_bases(PluginHost& plugins, const definition::Definition& definition, const BaseWish& wish, bool update,
                  const sg_call* call);

RecipeBase open_base(PluginHost& plugins, const definition::Text& text, const definition::Stage& stage, const BaseWish& wish,
                     const sg_call* call);

}  // namespace sg
