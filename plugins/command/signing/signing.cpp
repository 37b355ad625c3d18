// The plugin: the verbs sign, verify and key, and the hook that tells who signed an image.
#include "signing/commands.hpp"

SINGULARITY_PLUGIN(signing, signing::SignCommand, signing::VerifyCommand, signing::KeyCommand, signing::Signers)
