// The table "credentials" of singularity/host.h over Credentials.
#pragma once
#include <singularity/host.h>

#include <string>
#include <vector>

namespace sg {

// Tables carry no handle: this one serves the one command of the process, which ends when `cancel_fd` becomes
// readable (-1: never). The user's files are looked up at each call; `helpers` are the configuration's (Credentials).
const sg_host_credentials_v2& credentials_table(int cancel_fd, const std::vector<std::string>& helpers = {});

}  // namespace sg
