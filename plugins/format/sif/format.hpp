// The format as the host sees it.
#pragma once
#include <algorithm>
#include <family/segment.hpp>
#include <singularity/format.hpp>

#include "sif/image.hpp"
#include "sif/writer.hpp"

namespace sif {

class SifFormat final : public singularity::Format {
public:
    static constexpr bool has_parts = true;

    int probe(const char*, bool is_directory, std::span<const uint8_t> head) override {
        constexpr size_t at = 32;  // of the magic
        return !is_directory && head.size() >= at + magic_text.size() &&
                       std::equal(magic_text.begin(), magic_text.end(), head.begin() + at)
                   ? 100
                   : 0;
    }
    std::unique_ptr<singularity::ImageFile> open(const std::string& path, bool writable) override {
        return std::make_unique<SifImage>(path, writable);
    }
    std::unique_ptr<singularity::Writer> create(const singularity::CreateSpec& spec,
                                                const singularity::Host& host) override {
        return std::make_unique<SifWriter>(spec, host);
    }
    void create_empty(const singularity::CreateSpec& spec) override {
        write_empty(spec.fd, spec.path, spec.time == INT64_MIN ? unset_time : spec.time, spec.uuid);
    }
};

struct SifSegments : singularity::SegmentsOf<SifSegments> {
    static bool serves(std::string_view capability) { return capability == "sif"; }
    static std::unique_ptr<singularity::Segment> open_segment(int fd, uint64_t data_size, uint64_t size) {
        return std::make_unique<squashfs::StoredSegment>(fd, data_size, size);
    }
    static std::unique_ptr<singularity::Segment> open_image_segment(int fd, int image, uint64_t data_size,
                                                                    uint64_t size) {
        return std::make_unique<squashfs::StoredSegment>(fd, data_size, size, image);
    }
};

}  // namespace sif
