#include "images.hpp"

#include <fcntl.h>
#include <singularity/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <singularity/error.hpp>

#include "host.hpp"

namespace conformance {

namespace {

// As the host probes: by the first 4096 bytes, and who is surest opens it.
int32_t open_image(const char* path, int32_t writable, const sg_format_v1** format, const sg_parts_v1** parts,
                   sg_image_file** image, sg_error* err) {
    struct stat st {};
    char head[4096];
    ssize_t size = 0;
    if (stat(path, &st) != 0)
        return singularity::fill(err, singularity::Code::not_found, std::string(path) + " does not exist");
    if (S_ISREG(st.st_mode)) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        size = fd < 0 ? -1 : read(fd, head, sizeof head);
        if (fd >= 0) close(fd);
        if (size < 0) return singularity::fill(err, singularity::Code::io, std::string("cannot read ") + path);
    }
    int32_t best = 0;
    for (const auto& f : formats_here()) {
        const auto* table = static_cast<const sg_format_v1*>(f.plugin->table(f.name.c_str(), "format", 1));
        const int32_t sure =
            table ? table->probe(path, S_ISDIR(st.st_mode) ? 1 : 0, head, static_cast<uint64_t>(size)) : 0;
        if (sure <= best) continue;
        best = sure;
        *format = table;
        if (parts) *parts = static_cast<const sg_parts_v1*>(f.plugin->table(f.name.c_str(), "parts", 1));
    }
    if (best <= 0)
        return singularity::fill(err, singularity::Code::invalid,
                                 std::string(path) + " is no image that a registered format knows");
    return (*format)->open(path, writable, image, err);
}

int32_t open1(const char* path, const sg_format_v1** format, sg_image_file** image, sg_error* err) {
    return open_image(path, 0, format, nullptr, image, err);
}

}  // namespace

const sg_host_image_v1 image_table1 = {open1};
const sg_host_image_v2 image_table2 = {open_image};

}  // namespace conformance
