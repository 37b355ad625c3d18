// The source "localimage": an image file or directory of this machine, used in place.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <singularity/bootstrap.hpp>

namespace localimage {

using singularity::Code;
using singularity::Error;
using singularity::Host;

// The absolute path of what `spec` names, which is there, is a file or a directory, and may be read.
std::string locate(const singularity::SourceSpec& spec) {
    if (spec.reference.empty())
        throw Error(Code::invalid, "no image is named",
                    "The form is localimage:PATH, or \"From: PATH\" in a definition file.");
    const std::string path = spec.absolute(spec.reference);
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) {
        const int e = errno;
        throw Error(e == ENOENT || e == ENOTDIR ? Code::not_found
                    : e == EACCES               ? Code::permission
                                                : Code::io,
                    "cannot open the image " + path + ": " + std::strerror(e));
    }
    const bool directory = S_ISDIR(st.st_mode);
    // An image may also lie on a partition of its own.
    if (!directory && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        throw Error(Code::invalid, path + " is neither a file nor a directory, so it is no image");
    if (::access(path.c_str(), directory ? R_OK | X_OK : R_OK) != 0)
        throw Error(errno == EACCES ? Code::permission : Code::io,
                    "cannot read the image " + path + ": " + std::strerror(errno));
    return path;
}

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        std::string base = locate(spec);
        while (base.size() > 1 && base.back() == '/') base.pop_back();
        base.erase(0, base.rfind('/') + 1);
        for (const std::string ext : {".sif", ".simg", ".img", ".sqfs", ".squashfs"})
            if (base.size() > ext.size() && base.compare(base.size() - ext.size(), ext.size(), ext) == 0) {
                base.resize(base.size() - ext.size());
                break;
            }
        // Nothing to cache: it is there already.
        return {"", (base.empty() ? "image" : base) + ".sif", "", "", ""};
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host&) override {
        return std::make_unique<singularity::PathImage>(locate(spec));
    }
};

}  // namespace localimage

SINGULARITY_PLUGIN(localimage, localimage::Source)
