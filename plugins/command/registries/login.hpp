// Logging in to a registry and out again, for the verbs that do it.
//
// Options of the invocation: username, password, password-stdin, authfile, and no-https or insecure.
#pragma once
#include <singularity/command.hpp>

#include "registries/server.hpp"

namespace registry_command {

const std::string* option(const singularity::Invocation& invocation, std::string_view name);  // the last one, or null
// The file of --authfile, absolute; "" for the usual places.
std::string auth_file(const singularity::Invocation& invocation);

// Asks for what is not given, asks the registry whether it takes it, and keeps it. Both print what they did.
int login(const singularity::Invocation& invocation, const Address& address, const Host& host);
int logout(const singularity::Invocation& invocation, const Address& address, const Host& host);

}  // namespace registry_command
