// What a site's policies say about an image file or directory that somebody is about to use (config/policy.hpp): as a
// container's root, an overlay, data, the base of a build, or something to push.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "config/policy.hpp"
#include "plugin/host.hpp"

namespace sg::runtime {

struct ImageSubject {
    std::string path;        // is opened
    std::string shown = {};  // as people know it; "": path
    // Somebody put it where it lies, so rules on paths speak of it, by its real path. Not what was just fetched.
    bool has_place = true;
    // Rules on signers speak of it. Nobody signs what a container writes to.
    bool is_fixed = true;
};

struct ImagePolicy {
    std::vector<policy::Judgement> rulings;           // up to the first that forbids
    std::optional<std::vector<std::string>> signers;  // when a rule made somebody look
};

// Where no rule is set this costs a start a few look-ups in the index.
ImagePolicy image_policy(PluginHost& plugins, const ImageSubject& image, const sg_call* call);

// The same; throws Code::veto when the image may not be used.
ImagePolicy permit_image(PluginHost& plugins, const ImageSubject& image, const sg_call* call);

}  // namespace sg::runtime
