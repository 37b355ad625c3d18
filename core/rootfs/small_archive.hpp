// A small archive of plain files, unpacked to a directory: what `plugin install FILE.tar.gz` is given.
#pragma once
#include <string>

namespace sg {

// Unpacks the tar archive `file` (as it is, or compressed by gzip, zstd, xz or bzip2) into the directory `into`, which
// is there and empty. Only plain files and directories: a link, a device, a name that is absolute, climbs out by "..",
// or comes twice, more than 4096 entries or 256 MiB throw Code::invalid or Code::limit with the name; damage throws
// Code::corrupt. Files get mode 0644 or 0755, the caller's owner and no extended attribute. What was
// unpacked before a failure stays for the caller to remove.
void unpack_small_archive(const std::string& file, const std::string& into);

}  // namespace sg
