// The plugin: the source library, pushing to it, and the verbs search and delete.
#include "library/commands.hpp"
#include "library/publisher.hpp"
#include "library/source.hpp"

SINGULARITY_PLUGIN(library, library::Source, library::Publisher, library::FullName, library::SearchCommand,
                   library::DeleteCommand)
