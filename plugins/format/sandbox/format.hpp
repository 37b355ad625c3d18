// The format as the host sees it: every directory is a sandbox, also one without /.singularity.d.
#pragma once
#include <singularity/format.hpp>

#include "sandbox/reader.hpp"
#include "sandbox/writer.hpp"

namespace sandbox {

class SandboxImage final : public singularity::ImageFile {
public:
    explicit SandboxImage(const std::string& path);
    sg_image_info info() override;
    singularity::Root& root() override { return root_; }
    sg_mount_plan mount_plan() override;

private:
    std::string absolute_;
    DirectoryRoot root_;
};

class SandboxFormat final : public singularity::Format {
public:
    int probe(const char*, bool is_directory, std::span<const uint8_t>) override { return is_directory ? 50 : 0; }
    std::unique_ptr<singularity::ImageFile> open(const std::string& path, bool) override {
        return std::make_unique<SandboxImage>(path);
    }
    std::unique_ptr<singularity::Writer> create(const singularity::CreateSpec& spec,
                                                const singularity::Host&) override {
        return std::make_unique<DirectoryWriter>(spec);
    }
};

}  // namespace sandbox
