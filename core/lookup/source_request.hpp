// What the user typed as the place of an image -> a request to a bootstrap source.
#pragma once
#include <string>

#include "lookup/request.hpp"
#include "plugin/host.hpp"

namespace sg {

// `arch` is --arch ("" = the machine's). Relative paths start at the present directory. A plain path
// goes to the source whose manifest says `plain_paths: true`. Throws not_found for a scheme that nobody
// provides and for a path that does not exist, and Code::veto for what the site's policies forbid.
SourceRequest source_request(PluginHost& plugins, const std::string& typed, const std::string& arch,
                             Pairs options);

// Which machine the image is to be for; `arch` as above. Throws Code::usage for what is no architecture.
void wish_for(SourceRequest& request, const std::string& arch);

// Throws Code::veto when the site's policies forbid what is asked for (plugin/source_policy.hpp).
void permit(PluginHost& plugins, const SourceRequest& request);

}  // namespace sg
