// Writes a new SIF with one squashfs root file system, in place: the objects of
// Apptainer's files in their order.
//
// Parts that come before the first content lie before the partition in the order of the calls, unaligned; the
// partition is aligned to 4 KiB; later parts follow it. Slots are in the same order as the file. The table
// and then the header come last, so a file that was not finished is no SIF.
#pragma once
#include <family/squashfs_writer.hpp>
#include <singularity/format.hpp>

#include "sif/encryption.hpp"

namespace sif {

class SifWriter final : public singularity::LayeredWriter {
public:
    // Throws Code::invalid for an unknown architecture or compression. With the option encrypt=true the squashfs is
    // made in an unnamed temporary file and encrypted into its place at the end; throws what NewKey does.
    SifWriter(const singularity::CreateSpec& spec, const singularity::Host& host);

    void part(std::string_view type, std::string_view name, std::string_view bytes) override;
    uint64_t content(const char* hint, uint64_t size, singularity::Stream& data,
                     const singularity::Host& host) override;
    uint64_t adopt(const singularity::ForeignRoot& from, uint64_t node) override;
    void finish(const singularity::ForeignRoot& tree, const singularity::Host& host) override;

    const std::string& family() override;
    // Segments refer to the image; an encrypted one makes none: that would be its content, readable.
    void begin_layer(int segment) override;
    void begin_image_layer(int segment) override;
    void hidden(const char* path, uint64_t size, singularity::Stream* data, const singularity::Host& host) override;
    singularity::SegmentEnd end_layer(const singularity::Host& host) override;
    void begin_stored(singularity::Segment& segment) override;
    uint64_t stored(const char* path, bool hidden, const singularity::Host& host) override;

private:
    squashfs::SquashfsWriter& partition();
    Descriptor object(DataType type) const;
    // Puts it at the first aligned position after the last object; its bytes may be there already.
    void place(Descriptor descriptor, uint64_t size, uint64_t alignment);
    void store_part(Descriptor descriptor, std::string_view bytes);

    int fd_;
    std::string path_;
    Header header_;
    squashfs::SquashfsOptions options_;
    std::array<char, 3> arch_{};
    singularity::Host host_;
    int64_t time_;
    std::vector<Descriptor> objects_;
    std::vector<std::pair<Descriptor, std::string>> late_;
    uint64_t end_ = default_data;
    uint64_t partition_at_ = 0;
    std::unique_ptr<squashfs::SquashfsWriter> partition_;
    std::unique_ptr<NewKey> key_;  // null: not encrypted
    File plain_;
};

}  // namespace sif
