#include "lookup/request.hpp"

#include <singularity/error.hpp>

namespace sg {

SourceSpec::SourceSpec(const SourceRequest& r) {
    for (const auto& [k, v] : r.options) pairs.push_back({k.c_str(), v.c_str()});
    pairs.push_back({nullptr, nullptr});
    c = {r.scheme.c_str(),  r.reference.c_str(),    r.directory.c_str(), r.arch.c_str(),
         r.variant.c_str(), r.arch_is_wish ? 1 : 0, pairs.data()};
}

SourceIdentity resolve_source(const sg_bootstrap_v1& source, const SourceRequest& request, const sg_call* call) {
    const SourceSpec spec(request);
    sg_identity id{};
    singularity::check([&](sg_error* e) { return source.resolve(&spec.c, call, &id, e); });
    return {id.key, id.name, id.cache_area};
}

}  // namespace sg
