// What a site's policies say about an image file or directory that is to be run (config/policy.hpp).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "config/policy.hpp"
#include "plugin/host.hpp"

namespace sg::runtime {

// What was asked about and what decided; a subject that no rule speaks of is left out.
struct ImageRuling {
    std::string what;
    policy::Ruling ruling;
};

struct ImagePolicy {
    std::vector<ImageRuling> rulings;
    std::optional<std::vector<std::string>> signers;  // when a rule made somebody look
};

// `path` is opened, and as its real path it is compared. Where no rule is set this costs a start a few look-ups in the
// index.
ImagePolicy image_policy(PluginHost& plugins, const std::string& path, const sg_call* call);

// The same; throws Code::veto when the image may not be run.
ImagePolicy permit_image(PluginHost& plugins, const std::string& path, const sg_call* call);

}  // namespace sg::runtime
