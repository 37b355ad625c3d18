// What a bootstrap source is asked for, and what it answers before anything is fetched. Apart from opened_source.hpp,
// which brings all that reads an image: who only looks needs none of it.
#pragma once
#include <singularity/bootstrap.h>

#include <string>
#include <utility>
#include <vector>

namespace sg {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// What a source is asked for; see sg_source_spec.
struct SourceRequest {
    std::string scheme, reference, directory, arch, variant;
    bool arch_is_wish = false;
    Pairs options;
};

// The request as the plugin sees it; lives no longer than the request.
struct SourceSpec {
    std::vector<sg_pair> pairs;
    sg_source_spec c;
    explicit SourceSpec(const SourceRequest& request);
};

struct SourceIdentity {
    std::string key, name, cache_area;
};
SourceIdentity resolve_source(const sg_bootstrap_v1& source, const SourceRequest& request, const sg_call* call);

}  // namespace sg
