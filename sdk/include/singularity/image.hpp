// SPDX-License-Identifier: BSD-3-Clause
// image.hpp: an image that the host opens for a plugin: the files in it, and its parts (contracts: host.h "image" 2,
// format.h).
#pragma once
#include <singularity/format.hpp>

namespace singularity {

class ForeignImage {
public:
    // `writable`: parts will be added or removed. Throws what the format reports.
    ForeignImage(const std::string& path, bool writable) : path_(path) {
        const auto& host = detail::need_table<sg_host_image_v2>("image", 2);
        check([&](sg_error* e) { return host.open(path.c_str(), writable ? 1 : 0, &format_, &parts_, &file_, e); });
    }
    ForeignImage(const ForeignImage&) = delete;
    ForeignImage& operator=(const ForeignImage&) = delete;
    ~ForeignImage() { format_->close(file_); }

    const std::string& path() const { return path_; }
    sg_image_info info() const {
        sg_image_info out{};
        check([&](sg_error* e) { return format_->info(file_, &out, e); });
        return out;
    }
    // The root file system; lives as long as this.
    ForeignRoot root() const {
        const sg_root_v1* table = nullptr;
        sg_root* root = nullptr;
        check([&](sg_error* e) { return format_->root(file_, &table, &root, e); });
        return ForeignRoot(table, root);
    }
    bool has_parts() const { return parts_ != nullptr; }

    struct Part {
        uint64_t id, group, link, size;
        bool link_is_group;
        std::string type, name;
        std::vector<std::pair<std::string, std::string>> attributes;
        std::string_view attribute(std::string_view key) const {
            for (const auto& [k, v] : attributes)
                if (k == key) return v;
            return {};
        }
    };
    std::vector<Part> parts() const {
        std::vector<Part> out;
        const uint64_t count = need().count(file_);
        for (uint64_t i = 0; i < count; ++i) {
            sg_part p{};
            check([&](sg_error* e) { return need().get(file_, i, &p, e); });
            out.push_back({p.id, p.group, p.link, p.size, p.link_is_group != 0, p.type, p.name, {}});
            for (const sg_pair* a = p.attributes; a && a->key; ++a) out.back().attributes.emplace_back(a->key, a->value);
        }
        return out;
    }
    std::unique_ptr<Stream> read(uint64_t id, const Host& host) const {
        sg_stream* s = nullptr;
        check([&](sg_error* e) { return need().read(file_, id, host.call(), &s, e); });
        return std::make_unique<ForeignStream>(s);
    }
    // The new part's id; `spec.attributes` is taken from `attributes`.
    uint64_t add(sg_part_spec spec, std::vector<std::pair<std::string, std::string>> attributes, std::unique_ptr<Stream> data,
                 const Host& host) {
        detail::PairList pairs;
        spec.attributes = pairs.set(std::move(attributes));
        uint64_t id = 0;
        check([&](sg_error* e) { return need().add(file_, &spec, to_c(std::move(data)), host.call(), &id, e); });
        return id;
    }
    // What a signature covers: of the header, then of each part of the group.
    std::string covered(uint64_t group, std::vector<PartedImageFile::Covered>& parts) const {
        const void* header = nullptr;
        uint64_t size = 0;
        check([&](sg_error* e) {
            return need().covered(
                file_, group, &header, &size,
                [](void* arg, const sg_part_bytes* p) -> int32_t {
                    static_cast<std::vector<PartedImageFile::Covered>*>(arg)->push_back(
                        {p->relative_id, p->id, {static_cast<const char*>(p->descriptor), static_cast<size_t>(p->descriptor_size)}});
                    return 0;
                },
                &parts, e);
        });
        return {static_cast<const char*>(header), static_cast<size_t>(size)};
    }

private:
    const sg_parts_v1& need() const {
        if (!parts_) throw Error(Code::unsupported, path_ + " is of a format that has no parts");
        return *parts_;
    }
    std::string path_;
    const sg_format_v1* format_ = nullptr;
    const sg_parts_v1* parts_ = nullptr;
    sg_image_file* file_ = nullptr;
};

}  // namespace singularity
