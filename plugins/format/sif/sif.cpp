// The plugin: format "sif" (tables format, parts and layers) and the verb "sif" (table command).
#include "sif/command.hpp"
#include "sif/format.hpp"

SINGULARITY_PLUGIN(sif, sif::SifFormat, sif::SifSegments, sif::SifCommand)
