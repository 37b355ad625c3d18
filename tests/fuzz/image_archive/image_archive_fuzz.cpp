// Any bytes as an image archive: indexed as a plain tar, and read in its own order through the decompressors.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "family/archive.hpp"
#include "family/docker_archive.hpp"

namespace {

using namespace sources;

class Members final : public MemberSource {
public:
    explicit Members(const TarIndex& tar) : tar_(tar) {}
    const std::string& where() const override { return tar_.path(); }
    std::optional<uint64_t> size_of(const std::string& name) override {
        const auto* m = tar_.file_through_links(name);
        return m ? std::optional(m->size) : std::nullopt;
    }
    std::string read(const std::string& name, uint64_t limit) override {
        return tar_.read(*tar_.file_through_links(name), name, limit);
    }

private:
    const TarIndex& tar_;
};

class Streamed final : public SequentialArchive {
public:
    explicit Streamed(Fd fd) : SequentialArchive(std::move(fd), "fuzz") {}
    singularity::Config config() override { return {}; }
    uint64_t count() override { return 0; }
    singularity::Blob describe(uint64_t) override { return {}; }
    uint64_t part(uint64_t) override { return 0; }

protected:
    void complete(const Host&) override {
        (void)size_of("manifest.json");
        (void)document("manifest.json");
    }
};

Fd file_of(const uint8_t* data, size_t size) {
    Fd fd(::memfd_create("fuzz", MFD_CLOEXEC));
    if (!fd || ::pwrite(fd.get(), data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    return fd;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Host host;
    try {
        const TarIndex tar(file_of(data, size), size, "fuzz", host);
        Members members(tar);
        const ArchivedImage image = choose_archived_image(members, "", {"amd64", "", false});
        for (const ArchivedLayer& l : image.layers) {
            auto stream = tar.stream(*tar.file_through_links(l.member), l.member, host);
            while (stream->next().size() > 0) {
            }
        }
    } catch (const Error&) {
    }
    try {
        Streamed streamed(file_of(data, size));
        uint64_t left = 64 << 20;  // what a small input may unpack to here
        for (;;) {
            const singularity::Part part = streamed.next_part(host);
            if (part.key.empty()) break;
            for (;;) {
                const Slice s = part.stream->next();
                if (s.size() == 0 || s.size() > left) break;
                left -= s.size();
            }
        }
    } catch (const Error&) {
    }
    return 0;
}
