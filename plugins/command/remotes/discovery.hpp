// Which services a remote has, and whether it takes a token: /assets/config/config.prod.json of its host.
#pragma once
#include <map>

#include "remotes/config.hpp"
#include "remotes/service.hpp"

namespace remotes {

// "library", "builder", "keyserver", "token", "consent", ... -> its address. Asked once for a remote in a process.
// Throws network and the like, corrupt for an answer that is none, veto for a service by http of a remote that is not
// insecure (this machine's own apart).
const std::map<std::string, std::string>& services_of(const Remote& remote, const Host& host);
// One of them; throws Code::not_found when the remote has none such. The services of cloud.sylabs.io are known.
std::string service_uri(const Remote& remote, const std::string& service, const Host& host);

// Throws Code::unauthorized when the remote does not take the token.
void verify_token(const Remote& remote, const std::string& token, const Host& host);

}  // namespace remotes
