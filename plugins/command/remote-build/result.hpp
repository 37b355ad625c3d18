// From the library, where a builder has put it, to the file that the user named.
#pragma once
#include <remotes/service.hpp>
#include <string>

#include "remote-build/builder.hpp"
#include "remote-build/library_ref.hpp"

namespace remote_build {

// A file appears at `target` under its name only when it is whole. Throws Code::exists when something is there and
// `force` is not set, or when it is a directory; not_found and permission for its directory.
void check_target(const std::string& target, bool force);

// Downloads the image `ref` of `info` and compares its SHA-256 with what the builder says, or, when it says nothing, with
// what the library says. Goes on where a download broke off. Throws corrupt when they differ, and what the library answers.
void fetch_result(const remotes::Service& library, const LibraryRef& ref, const BuildInfo& info, const std::string& arch, const std::string& target, bool force,
                  const Host& host);

}  // namespace remote_build
