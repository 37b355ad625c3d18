// One small or middling file from a URL, before a recipe runs: in the recipe's namespaces nothing is fetched.
#pragma once
#include <singularity/host.hpp>
#include <string>

namespace packages {

// The bytes at an absolute path, or at a URL of any scheme for which the host has a transport. Throws Code::not_found, Code::network,
// Code::limit and what the transport throws. `what` begins messages, as "MirrorURL".
std::string fetched(const std::string& url, uint64_t limit, const std::string& what, const singularity::Host& host);

}  // namespace packages
