// The plugin: the verbs sign, verify and key.
#include "signing/commands.hpp"

SINGULARITY_PLUGIN(signing, signing::SignCommand, signing::VerifyCommand, signing::KeyCommand)
