// Any bytes as a SIF: opened, listed in every form, read, and edited. What an edit leaves must open again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "sif/container.hpp"
#include "sif/listing.hpp"
#include "sif/objects.hpp"

namespace {

using namespace sif;

class Text final : public singularity::Stream {
public:
    singularity::Slice next() override {
        return std::exchange(told_, true) ? singularity::Slice() : singularity::Slice::borrowed("new object", 10);
    }

private:
    bool told_ = false;
};

Container open(int fd) {
    return Container::parse(File(::dup(fd)), "fuzz", static_cast<uint64_t>(::lseek(fd, 0, SEEK_END)));
}

void look(const Container& c) {
    list_text(c), list_json(c), header_text(c), header_json(c);
    covered_bytes(c.header());
    for (const Descriptor* d : c.objects()) {
        info_text(*d), info_json(*d);
        const auto data = c.read(*d, {});
        while (data->next().size() > 0) {
        }
        if (d->group_id() != 0) c.covered(d->group_id());
    }
}

template <class Edit>
void edit(int fd, Edit&& change) {
    Container c = open(fd);
    try {
        change(c);
    } catch (const singularity::Error&) {
        return;
    }
    // Throws, and so ends the fuzzer, when the edit spoiled the container.
    try {
        open(fd);
    } catch (const singularity::Error&) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    try {
        look(open(fd));
        singularity::PartInfo part;
        part.type = "generic", part.name = "fuzz", part.group = 1;
        edit(fd, [&](Container& c) {
            Text text;
            c.add(to_object(part), text, 1, {});
        });
        edit(fd, [](Container& c) {
            if (!c.objects().empty()) c.set_primary(c.objects().back()->id, 2);
        });
        edit(fd, [](Container& c) {
            if (!c.objects().empty()) c.remove(c.objects().front()->id, true, 3);
        });
    } catch (const singularity::Error&) {
    }
    return 0;
}
