#pragma once
#include <string>

#include "base/call.hpp"

namespace sg {

// "sha256:..." of all bytes of a file; `call` (may be null) cancels. Throws system errors.
std::string file_digest(const std::string& path, const sg_call* call);

}  // namespace sg
