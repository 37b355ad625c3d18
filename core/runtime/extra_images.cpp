#include "runtime/extra_images.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/error.hpp"
#include "runtime/image_policy.hpp"

namespace sg::runtime {
namespace {

bool may_write(const char* path) { return ::access(path, W_OK) == 0; }

std::shared_ptr<LazyRoot> reader_of(const std::shared_ptr<OpenedImage>& file, uint64_t part) {
    return std::make_shared<LazyRoot>([file, part]() -> LazyRoot::Reader {
        const FormatEntry& format = file->format();
        const sg_root_v1* table = nullptr;
        sg_root* root = nullptr;
        singularity::check([&](sg_error* e) {
            return part == 0 ? format.table->root(file->file(), &table, &root, e) : format.part_roots->root(file->file(), part, &table, &root, e);
        });
        return {table, root};
    });
}

// Parts of the kind ("Overlay", "Data"): their numbers.
std::vector<uint64_t> partitions(const OpenedImage& file, std::string_view kind) {
    std::vector<uint64_t> out;
    const FormatEntry& format = file.format();
    if (!format.parts || !format.part_roots) return out;
    for (uint64_t i = 0, n = format.parts->count(file.file()); i < n; ++i) {
        sg_part part{};
        singularity::check([&](sg_error* e) { return format.parts->get(file.file(), i, &part, e); });
        if (std::string_view(part.type) != "partition") continue;
        for (const sg_pair* a = part.attributes; a && a->key; ++a)
            if (std::string_view(a->key) == "part" && kind == a->value) out.push_back(part.id);
    }
    return out;
}

ExtraImage from_part(const std::string& role, const std::string& name, std::shared_ptr<OpenedImage> file, uint64_t part, bool want_writable) {
    ExtraImage out;
    out.role = role;
    out.name = name;
    if (part == 0)
        out.plan = file->mount_plan();
    else
        singularity::check([&](sg_error* e) { return file->format().part_roots->mount_plan(file->file(), part, &out.plan, e); });
    out.writable = want_writable && out.plan.writable != 0;
    if (out.writable && !may_write(out.plan.path))
        throw Error(Code::permission, role + " " + name + ": there is no right to write to " + out.plan.path + ": " + std::strerror(errno), "add ':ro' to only read it");
    out.part = part;
    out.reader = reader_of(file, part);
    out.file = std::move(file);
    return out;
}

ExtraImage from_directory(const OverlayOption& o) {
    ExtraImage out;
    out.role = "overlay";
    out.name = o.path;
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(o.path.c_str(), nullptr), &std::free);
    if (!real) throw_errno("cannot resolve the overlay", o.path);
    singularity::detail::copy_text(out.plan.type, "bind");
    if (std::strlen(real.get()) >= sizeof out.plan.path) throw Error(Code::limit, "overlay " + o.path + ": its path is too long");
    singularity::detail::copy_text(out.plan.path, real.get());
    out.plan.writable = 1;
    out.writable = !o.read_only;
    if (out.writable && !may_write(out.plan.path))
        throw Error(Code::permission, "overlay " + o.path + ": there is no right to write to the directory: " + std::strerror(errno), "add ':ro' to only read it");
    return out;
}

void check_writers(const std::vector<ExtraImage>& images) {
    const ExtraImage* first = nullptr;
    for (const auto& i : images) {
        if (!i.writable) continue;
        if (first) throw Error(Code::usage, "overlays " + first->name + " and " + i.name + ": only one can be written to", "add ':ro' to the others");
        first = &i;
    }
}

}  // namespace

sg_launch_image ExtraImage::for_launch(bool kernel_mounts) const {
    if (!reader) return {nullptr, nullptr};
    if (kernel_mounts) return {LazyRoot::table(), reader->handle()};
    try {
        const LazyRoot::Reader& r = reader->reader();
        return {r.table, r.root};
    } catch (const Error& e) {
        if (e.code() != Code::unsupported) throw;
        return {nullptr, nullptr};
    }
}

std::vector<ExtraImage> open_overlays(const std::vector<OverlayOption>& options, PluginHost& plugins,
                                      const sg_call* call) {
    std::vector<ExtraImage> out;
    for (const auto& o : options) {
        struct stat s;
        if (::stat(o.path.c_str(), &s) != 0)
            throw Error(Code::not_found, "overlay " + o.path + ": " + std::strerror(errno), errno == ENOENT ? "'singularity overlay create " + o.path + "' makes one; a directory serves as well" : "");
        if (S_ISDIR(s.st_mode)) {
            out.push_back(from_directory(o));
            continue;
        }
        auto file = std::make_shared<OpenedImage>(plugins.open_image(o.path));
        const auto parts = partitions(*file, "Overlay");
        for (const uint64_t part : parts) out.push_back(from_part("overlay", o.path, file, part, !o.read_only));
        if (parts.empty()) out.push_back(from_part("overlay", o.path, file, 0, !o.read_only));
        const bool written = std::any_of(out.begin(), out.end(), [&](const auto& e) { return e.file == file && e.writable; });
        permit_image(plugins, {file->path(), {}, true, !written}, call);
    }
    check_writers(out);
    return out;
}

std::vector<ExtraImage> own_overlays(std::shared_ptr<OpenedImage> image, bool writable) {
    std::vector<ExtraImage> out;
    for (const uint64_t part : partitions(*image, "Overlay")) {
        out.push_back(from_part("overlay", image->path(), image, part, writable));
        writable = writable && !out.back().writable;  // the first one that can
    }
    return out;
}

std::vector<ExtraImage> open_data(std::vector<Bind>& binds, PluginHost& plugins, const sg_call* call) {
    std::vector<ExtraImage> out;
    for (auto& b : binds) {
        if (!b.of_image) continue;
        auto file = std::make_shared<OpenedImage>(plugins.open_image(b.source));
        if (file->format().directory) throw Error(Code::invalid, "bind " + b.source + ": image-src and id need an image file, this is a directory");
        uint64_t part = b.image_part;
        if (part == 0)
            if (const auto parts = partitions(*file, "Data"); !parts.empty()) part = parts.front();
        if (part != 0 && !file->format().part_roots) throw Error(Code::unsupported, "bind " + b.source + ": an image of this format has no object " + std::to_string(part));
        ExtraImage e = from_part("data", b.source, file, part, false);
        e.writable = !b.read_only && e.plan.writable && may_write(e.plan.path);
        permit_image(plugins, {file->path(), {}, true, !e.writable}, call);
        b.read_only = !e.writable;
        // A file can only be shown on a file; where nothing reads the image, directories are what people bind.
        try {
            const LazyRoot::Reader& r = e.reader->reader();
            const singularity::ForeignRoot root(r.table, r.root);
            const uint64_t node = root.find(b.image_path);
            // A link is followed by the launcher, and what is not there is refused by it.
            if (node != SG_NO_NODE) b.image_directory = !S_ISREG(root.stat(node).mode);
        } catch (const Error& error) {
            if (error.code() != Code::unsupported) throw;
        }
        out.push_back(std::move(e));
    }
    return out;
}

OverlayOption parse_overlay(const std::string& text) {
    OverlayOption out{text, false};
    const auto cut = [&](std::string_view end) {
        if (text.size() <= end.size() || text.compare(text.size() - end.size(), end.size(), end) != 0) return false;
        out.path = text.substr(0, text.size() - end.size());
        return true;
    };
    if (cut(":ro")) out.read_only = true;
    else cut(":rw");
    if (out.path.empty()) throw Error(Code::usage, "--overlay " + text + ": the path is empty", "the form is PATH[:ro]");
    return out;
}

}  // namespace sg::runtime
