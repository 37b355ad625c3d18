// The state of a file or directory, by which an index is known to be current.
#pragma once
#include <sys/stat.h>

#include <string>

#include "config/index.hpp"

namespace sg {

SourceFile state_of(const std::string& path, const struct stat& st);
SourceFile state_of(const std::string& path);  // as it is now; kind 0 when it is not there

}  // namespace sg
