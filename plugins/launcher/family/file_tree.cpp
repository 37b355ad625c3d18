#include "family/file_tree.hpp"

#include "family/mounts.hpp"
#include "family/system.hpp"

namespace launcher {

static const singularity::Host host;

void show_files(const std::string& path, const std::vector<std::string>& sources) {
    Flags flags;
    flags.read_only = flags.no_suid = flags.no_dev = true;
    for (const auto& source : sources) {
        const std::string target = path + "/" + source.substr(source.rfind('/') + 1);
        Fd made(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!made && errno == EEXIST) continue;  // the first one of that name
        if (!made) fail("cannot make a place for", source);
        Fd at(::open(target.c_str(), O_PATH | O_CLOEXEC));
        std::string warning;
        if (at && bind(source, at.get(), flags, warning)) continue;
        host.warn(system_error(errno, "cannot show the file", source).message());
        (void)::unlink(target.c_str());
    }
}

}  // namespace launcher
