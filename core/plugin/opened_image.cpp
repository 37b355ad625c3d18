#include <utility>

#include "plugin/host.hpp"

namespace sg {

OpenedImage::OpenedImage(FormatEntry format, sg_image_file* file, std::string path)
    : format_(std::move(format)), file_(file), path_(std::move(path)) {}

OpenedImage::OpenedImage(OpenedImage&& other) noexcept
    : format_(std::move(other.format_)), file_(std::exchange(other.file_, nullptr)), path_(std::move(other.path_)) {}

OpenedImage& OpenedImage::operator=(OpenedImage&& other) noexcept {
    std::swap(format_, other.format_);
    std::swap(file_, other.file_);
    std::swap(path_, other.path_);
    return *this;
}

OpenedImage::~OpenedImage() {
    if (file_) format_.table->close(file_);
}

singularity::ForeignRoot OpenedImage::root() {
    const sg_root_v1* table = nullptr;
    sg_root* root = nullptr;
    singularity::check([&](sg_error* e) { return format_.table->root(file_, &table, &root, e); });
    return {table, root};
}

sg_mount_plan OpenedImage::mount_plan() {
    sg_mount_plan plan{};
    singularity::check([&](sg_error* e) { return format_.table->mount_plan(file_, &plan, e); });
    return plan;
}

sg_image_info OpenedImage::info() {
    sg_image_info info{};
    singularity::check([&](sg_error* e) { return format_.table->info(file_, &info, e); });
    return info;
}

}  // namespace sg
