// A SIF as an image: its root file system is the primary system partition,
// its parts are the objects.
#pragma once
#include <map>
#include <mutex>
#include <singularity/format.hpp>

#include "sif/container.hpp"

namespace sif {

class SifImage final : public singularity::PartedImageFile {
public:
    SifImage(const std::string& path, bool writable);

    sg_image_info info() override;
    singularity::Root& root() override;
    sg_mount_plan mount_plan() override;

    std::vector<singularity::PartInfo> parts() override;
    std::unique_ptr<singularity::Stream> read_part(uint64_t id, const singularity::Host& host) override;
    uint64_t add_part(const singularity::PartInfo& spec, singularity::Stream& data,
                      const singularity::Host& host) override;
    void remove_part(uint64_t id, bool zero) override;
    void set_primary(uint64_t id) override;
    std::vector<std::pair<std::string, std::string>> header() override;
    std::string covered(uint64_t group, std::vector<Covered>& parts) override;
    singularity::Root& part_root(uint64_t id) override;
    sg_mount_plan part_mount_plan(uint64_t id) override;

private:
    const Descriptor& root_partition() const;  // throws Code::unsupported: none
    const Descriptor& partition(uint64_t id) const;
    std::unique_ptr<singularity::Root> open_root(const Descriptor& d, const std::string& what) const;
    sg_mount_plan plan_of(const Descriptor& d, const std::string& what) const;

    Container container_;
    std::string absolute_;
    std::mutex mutex_;  // guards the making of readers
    std::unique_ptr<singularity::Root> root_;
    std::map<uint64_t, std::unique_ptr<singularity::Root>> part_roots_;
};

// Seconds for the "modified" of an edit: SOURCE_DATE_EPOCH when it is a number, else the clock.
int64_t edit_time();

}  // namespace sif
