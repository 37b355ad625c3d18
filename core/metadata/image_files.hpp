// Reads the metadata files out of a root file system. The image may be hostile: links are followed inside it only,
// nothing but regular files is read, and sizes are limited.
#pragma once
#include <optional>
#include <singularity/format.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/attributes.hpp"

namespace sg {

// The node of `path` with all symbolic links followed inside the root, as a chroot would; SG_NO_NODE when it does not
// lead anywhere.
uint64_t resolve_inside(const singularity::ForeignRoot& root, std::string_view path);

// The bytes of a regular file of at most 4 MiB; nothing when there is none. A larger one throws Code::limit.
std::optional<std::string> read_text_file(const singularity::ForeignRoot& root, std::string_view path);

// Names in a directory, sorted; empty when it is none. More than 100,000 throw Code::limit.
std::vector<std::string> names_in(const singularity::ForeignRoot& root, std::string_view path);

// Everything that `inspect` can find in the files of an image, old ones without /.singularity.d too. A damaged
// labels.json counts as empty; `problems` says so when it is given.
Attributes read_attributes(const singularity::ForeignRoot& root, std::vector<std::string>* problems = nullptr);

}  // namespace sg
