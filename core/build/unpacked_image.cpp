#include "build/unpacked_image.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <ctime>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "lookup/cache_places.hpp"
#include "build/convert.hpp"
#include "config/settings.hpp"
#include "rootfs/copy.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"
#include "store/image_cache.hpp"
#include "store/output.hpp"

namespace sg {

namespace {

constexpr const char* area = "unpacked";

FormatEntry directory_format(PluginHost& plugins) {
    for (const auto& c : plugins.index().capabilities(CapabilityKind::format))
        if (c.directory) return plugins.format(c.name);
    throw Error(Code::unsupported, "no registered format makes directories: an image cannot be unpacked");
}

// Held until the end of the process or the descriptor; the same for all who want this entry.
UniqueFd lock(const std::string& directory) {
    UniqueFd file(open((directory + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) throw_errno("cannot make", directory + "/.lock");
    while (flock(file.get(), LOCK_EX) != 0)
        if (errno != EINTR) throw_errno("cannot lock", directory + "/.lock");
    return file;
}

void unpack(PluginHost& plugins, const std::string& path, const std::string& to, const sg_call* call) {
    OpenedImage image = plugins.open_image(path);
    const FormatEntry format = directory_format(plugins);
    OutputDirectory target(to);
    sg_create what{};
    what.fd = -1;
    what.path = target.path().c_str();
    what.arch = "";
    what.compress = "";
    what.time = INT64_MIN;
    ImageWriter writer = ImageWriter::create(*format.table, what, call);
    Tree tree = copy_root(image.root(), writer, convert_options(plugins.settings()).limits, call);
    writer.finish(tree);
    if (call) call->cancel.poll();
    target.commit();
}

}  // namespace

std::string unpacked_image(PluginHost& plugins, const std::string& path, const sg_call* call) {
    const ImageCache cache(cache_places(plugins.settings()).own);
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) throw_errno("cannot look at", path);
    if (!cache.enabled())
        throw Error(Code::unsupported, path + " can neither be mounted here nor unpacked, as nothing is cached",
                    "allow the cache, or make a directory of it with: singularity build --sandbox DIRECTORY " + path);
    const std::string key = std::to_string(st.st_dev) + " " + std::to_string(st.st_ino) + " " + std::to_string(st.st_size) + " " +
                            std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
    const std::string to = cache.place(area, key, "rootfs");
    const UniqueFd held = lock(to.substr(0, to.rfind('/')));
    struct stat done {};
    if (lstat(to.c_str(), &done) == 0 && S_ISDIR(done.st_mode)) return to;
    log::info("Unpacking " + path + " to " + to);
    unpack(plugins, path, to, call);
    return to;
}

}  // namespace sg
