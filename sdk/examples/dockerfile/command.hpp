// The builder's command line for what the user asked for.
#pragma once
#include <singularity/bootstrap.hpp>
#include <string>
#include <vector>

namespace dockerfile {

// The directory that is built, and the Dockerfile in it.
struct Context {
    std::string directory, file;  // absolute

    // `dockerfile://DIR` builds DIR/Dockerfile (or Containerfile), `dockerfile://DIR/NAME` the file of that name in
    // DIR. Throws Code::not_found.
    static Context of(const singularity::SourceSpec& spec);
    std::string name() const;  // of the directory, for the image's file
};

// The program that the site chose, or the first of buildah and podman that is there. Throws Code::not_found.
std::string find_builder(const singularity::Host& host);

// Has it built into the OCI layout directory `layout`, which must not exist. Throws Code::invalid for a wrong option.
std::vector<std::string> build_command(const std::string& builder, const Context& context, const std::string& layout,
                                       const singularity::SourceSpec& spec, const singularity::Host& host);

}  // namespace dockerfile
