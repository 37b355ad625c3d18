// The texts of `sif list`, `header` and `info` (those of Apptainer's, as other programs parse them) and
// their JSON forms. Nothing of the file's own text reaches a terminal unescaped.
#pragma once
#include <string>

#include "sif/container.hpp"

namespace sif {

std::string list_text(const Container& container);
std::string header_text(const Container& container);
std::string info_text(const Descriptor& object);

std::string list_json(const Container& container);
std::string header_json(const Container& container);
std::string info_json(const Descriptor& object);

// "27 KiB": rounded, with the largest unit that leaves at least 1.
std::string readable_size(int64_t bytes);
// "2020-06-30 00:01:56 +0000 UTC"
std::string readable_time(int64_t seconds);

}  // namespace sif
