// SPDX-License-Identifier: BSD-3-Clause
// bootstrap.hpp: write a bootstrap source in C++ (contracts: bootstrap.h).
#pragma once
#include <singularity/bootstrap.h>
#include <singularity/plugin.hpp>

namespace singularity {

// What the user asked for, as values.
struct SourceSpec {
    std::string scheme, reference, directory, arch, variant;
    bool arch_is_wish = false;
    std::vector<std::pair<std::string, std::string>> options;

    static SourceSpec from_c(const sg_source_spec& c) {
        SourceSpec s{c.scheme, c.reference, c.directory, c.arch, c.variant ? c.variant : "", c.arch_is_wish != 0, {}};
        for (const sg_pair* p = c.options; p && p->key; ++p) s.options.emplace_back(p->key, p->value);
        return s;
    }
    // The last value of an option, or "".
    std::string option(std::string_view key) const {
        for (auto it = options.rbegin(); it != options.rend(); ++it)
            if (it->first == key) return it->second;
        return {};
    }
    // `path` made absolute from where the user stands.
    std::string absolute(const std::string& path) const {
        return !path.empty() && path.front() == '/' ? path : directory + "/" + path;
    }
};

struct Identity {
    std::string key, name, cache_area, arch, variant;
};

struct Blob {
    std::string media_type, digest, diff_id;
    uint64_t size = SG_SIZE_UNKNOWN;
    std::vector<std::pair<std::string, std::string>> annotations;
};

// What `open` answers: derive from one of the kinds below.
class Image {
public:
    virtual ~Image() = default;
    virtual sg_source_kind kind() const = 0;
};

struct Manifest {
    std::string bytes, media_type;
};
struct Config {
    std::string bytes, digest;
};

class LayeredImage : public Image {
public:
    sg_source_kind kind() const override { return SG_LAYERS; }
    virtual Manifest manifest() { return {}; }
    virtual Config config() = 0;
    virtual uint64_t count() = 0;
    virtual Blob describe(uint64_t index) = 0;                                     // any thread
    virtual std::unique_ptr<Stream> layer(uint64_t index, const Host& host) = 0;   // any thread, several at a time
};

// A part of a sequential archive; an empty key ends them.
struct Part {
    std::string key;
    uint64_t size = SG_SIZE_UNKNOWN;
    std::unique_ptr<Stream> stream;
};

class SequentialImage : public Image {
public:
    sg_source_kind kind() const override { return SG_LAYERS; }
    virtual Part next_part(const Host& host) = 0;
    // The rest is valid after the last part.
    virtual Manifest manifest() { return {}; }
    virtual Config config() = 0;
    virtual uint64_t count() = 0;
    virtual Blob describe(uint64_t index) = 0;
    virtual uint64_t part(uint64_t index) = 0;
};

class BlobImage : public Image {
public:
    sg_source_kind kind() const override { return SG_BLOB; }
    virtual Blob blob() = 0;
    virtual std::unique_ptr<Stream> fetch(uint64_t offset, const Host& host) = 0;
};

class PathImage : public Image {
public:
    explicit PathImage(std::string path) : path_(std::move(path)) {}
    sg_source_kind kind() const override { return SG_PATH; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

class RecipeImage : public Image {
public:
    sg_source_kind kind() const override { return SG_RECIPE; }
    virtual void fill(const std::string& rootfs, const Host& host) = 0;
};

class EmptyImage final : public Image {
public:
    sg_source_kind kind() const override { return SG_EMPTY; }
};

class BootstrapSource {
public:
    virtual ~BootstrapSource() = default;
    virtual Identity resolve(const SourceSpec& spec, const Host& host) = 0;
    virtual std::unique_ptr<Image> open(const SourceSpec& spec, const Host& host) = 0;
};

// The publishing side of a source: name it beside the source in SINGULARITY_PLUGIN.
class Publisher {
public:
    virtual ~Publisher() = default;
    // Pushes the image file at `path`; gives where it went, for the user.
    virtual std::string publish(const SourceSpec& to, const std::string& path, const Host& host) = 0;
};

namespace detail {

// One C image over a C++ one. Descriptions are made once, when the image is whole, so that the texts
// they point to need no lock.
struct ImageBox : sg_image {
    std::unique_ptr<Image> image;
    std::string media_type, config_digest, key;
    struct Described {
        Blob blob;
        PairList annotations;
        sg_blob c;
    };
    std::vector<std::unique_ptr<Described>> described;
    sg_layers table{};

    static ImageBox& of(sg_image* i) { return *static_cast<ImageBox*>(i); }
    template <class T>
    static T& as(sg_image* i) {
        return static_cast<T&>(*of(i).image);
    }
    template <class T>
    void describe_all() {
        if (!described.empty()) return;
        auto& image_ = static_cast<T&>(*image);
        for (uint64_t n = image_.count(), i = 0; i < n; ++i) described.push_back(box(image_.describe(i)));
    }
    static std::unique_ptr<Described> box(Blob b) {
        auto d = std::make_unique<Described>();
        d->blob = std::move(b);
        d->c = {d->blob.media_type.c_str(), d->blob.digest.c_str(), d->blob.diff_id.c_str(), d->blob.size,
                d->annotations.set(d->blob.annotations)};
        return d;
    }
};

template <class T>
void fill_layers(ImageBox& box) {
    auto& t = box.table;
    t.manifest = [](sg_image* self, sg_slice* out, const char** type, sg_error* err) {
        return guard(err, [&] {
            Manifest m = ImageBox::as<T>(self).manifest();
            ImageBox::of(self).media_type = m.media_type;
            *type = ImageBox::of(self).media_type.c_str();
            *out = Slice::owned(std::vector<uint8_t>(m.bytes.begin(), m.bytes.end())).release();
        });
    };
    t.config = [](sg_image* self, sg_slice* out, const char** digest, sg_error* err) {
        return guard(err, [&] {
            Config c = ImageBox::as<T>(self).config();
            ImageBox::of(self).config_digest = c.digest;
            *digest = ImageBox::of(self).config_digest.c_str();
            *out = Slice::owned(std::vector<uint8_t>(c.bytes.begin(), c.bytes.end())).release();
        });
    };
    t.count = [](sg_image* self) { return ImageBox::as<T>(self).count(); };
    t.describe = [](sg_image* self, uint64_t i, sg_blob* out, sg_error* err) {
        return guard(err, [&] {
            auto& b = ImageBox::of(self);
            if constexpr (std::is_base_of_v<SequentialImage, T>) b.describe_all<T>();
            if (i >= b.described.size()) throw Error(Code::not_found, "no layer " + std::to_string(i));
            *out = b.described[i]->c;
        });
    };
    if constexpr (std::is_base_of_v<SequentialImage, T>) {
        t.sequential = 1;
        t.next_part = [](sg_image* self, const sg_call* call, const char** key, uint64_t* size, sg_stream** out,
                         sg_error* err) {
            return guard(err, [&] {
                Part p = ImageBox::as<T>(self).next_part(Host(call));
                ImageBox::of(self).key = p.key;
                *key = p.key.empty() ? nullptr : ImageBox::of(self).key.c_str();
                *size = p.size;
                *out = p.stream ? to_c(std::move(p.stream)) : nullptr;
            });
        };
        t.part = [](sg_image* self, uint64_t i, uint64_t* number, sg_error* err) {
            return guard(err, [&] { *number = ImageBox::as<T>(self).part(i); });
        };
    } else {
        t.layer = [](sg_image* self, uint64_t i, const sg_call* call, sg_stream** out, sg_error* err) {
            return guard(err, [&] { *out = to_c(ImageBox::as<T>(self).layer(i, Host(call))); });
        };
        box.describe_all<T>();
    }
    box.layers = &t;
}

inline sg_image* to_c(std::unique_ptr<Image> image) {
    auto owner = std::make_unique<ImageBox>();
    ImageBox& box = *owner;
    static_cast<sg_image&>(box) = {};
    box.kind = image->kind();
    box.close = [](sg_image* self) { delete static_cast<ImageBox*>(self); };
    box.image = std::move(image);
    Image* raw = box.image.get();
    if (dynamic_cast<LayeredImage*>(raw)) {
        fill_layers<LayeredImage>(box);
    } else if (dynamic_cast<SequentialImage*>(raw)) {
        fill_layers<SequentialImage>(box);
    } else if (auto* p = dynamic_cast<PathImage*>(raw)) {
        box.path = p->path().c_str();
    } else if (auto* b = dynamic_cast<BlobImage*>(raw)) {
        box.described.push_back(ImageBox::box(b->blob()));
        box.blob = [](sg_image* self, sg_blob* out, sg_error*) -> int32_t {
            *out = ImageBox::of(self).described[0]->c;
            return SG_OK;
        };
        box.fetch = [](sg_image* self, uint64_t offset, const sg_call* call, sg_stream** out, sg_error* err) {
            return guard(err, [&] { *out = singularity::to_c(ImageBox::as<BlobImage>(self).fetch(offset, Host(call))); });
        };
    } else if (dynamic_cast<RecipeImage*>(raw)) {
        box.recipe = [](sg_image* self, const char* rootfs, const sg_call* call, sg_error* err) {
            return guard(err, [&] { ImageBox::as<RecipeImage>(self).fill(rootfs, Host(call)); });
        };
    }
    return owner.release();
}

// The table of a source class: one object of it serves all calls, from any thread.
template <class T>
const sg_bootstrap_v1* bootstrap_table() {
    static T object;
    static BootstrapSource& source = object;
    static const sg_bootstrap_v1 table = {
        [](const sg_source_spec* spec, const sg_call* call, sg_identity* out, sg_error* err) {
            return guard(err, [&] {
                Identity id = source.resolve(SourceSpec::from_c(*spec), Host(call));
                copy_text(out->key, id.key);
                copy_text(out->name, id.name);
                copy_text(out->cache_area, id.cache_area);
                copy_text(out->arch, id.arch);
                copy_text(out->variant, id.variant);
            });
        },
        [](const sg_source_spec* spec, const sg_call* call, sg_image** out, sg_error* err) {
            return guard(err, [&] { *out = to_c(source.open(SourceSpec::from_c(*spec), Host(call))); });
        }};
    return &table;
}

}  // namespace detail
}  // namespace singularity

namespace singularity::detail {

template <class T>
    requires std::is_base_of_v<BootstrapSource, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        return table == "bootstrap" && version == 1 ? bootstrap_table<T>() : nullptr;
    }
};

template <class T>
    requires std::is_base_of_v<Publisher, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static Publisher& self = object;
        static const sg_publish_v1 functions = {[](const sg_source_spec* to, const char* path, const sg_call* call,
                                                   char* location, uint64_t capacity, sg_error* err) {
            return guard(err, [&] {
                const std::string where = self.publish(SourceSpec::from_c(*to), path, Host(call));
                if (capacity == 0) return;
                const size_t n = where.size() < capacity - 1 ? where.size() : static_cast<size_t>(capacity - 1);
                std::memcpy(location, where.data(), n);
                location[n] = '\0';
            });
        }};
        return table == "publish" && version == 1 ? &functions : nullptr;
    }
};

}  // namespace singularity::detail
