// The plugin: the verbs remote and keyserver.
#include "commands.hpp"

SINGULARITY_PLUGIN(remote, remote::RemoteCommand, remote::KeyserverCommand)
