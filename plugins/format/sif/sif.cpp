// The plugin: format "sif" (tables format and parts) and the verb "sif" (table command).
#include "sif/command.hpp"
#include "sif/format.hpp"

SINGULARITY_PLUGIN(sif, sif::SifFormat, sif::SifCommand)
