// Programs of others.
#pragma once
#include <singularity/host.hpp>
#include <string>
#include <vector>

namespace dockerfile {

// Runs it to its end; what it prints goes to stderr, for stdout is the user's, and what it keeps for a while to the
// directory `temporary`. Cancelled, it ends with all its children. Throws Code::io when it fails, and Code::cancelled.
void run(const std::vector<std::string>& words, const std::string& temporary, const singularity::Host& host);

}  // namespace dockerfile
