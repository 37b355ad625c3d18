// SPDX-License-Identifier: BSD-3-Clause
// format.hpp: write an image format in C++ (contracts: format.h). An exception is turned into a status at
// the boundary; everything said of threads in format.h holds for the virtual functions here.
#pragma once
#include <singularity/format.h>
#include <singularity/plugin.hpp>

#include <functional>
#include <map>

namespace singularity {

// A root file system read at random: all functions from any thread.
class Root {
public:
    virtual ~Root() = default;
    virtual uint64_t root() = 0;
    virtual sg_attr stat(uint64_t node) = 0;
    virtual uint64_t lookup(uint64_t dir, std::string_view name) = 0;  // SG_NO_NODE: no such name
    virtual void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) = 0;
    virtual std::string link_target(uint64_t node) = 0;
    virtual void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) = 0;
    virtual bool has_xattrs() { return true; }  // false: no node of the image has any
    virtual uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) = 0;
    virtual Slice block(uint64_t node, uint64_t offset) = 0;
    virtual sg_placement placement(uint64_t) { return {UINT64_MAX, 0, 0}; }
    virtual void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) = 0;
};

// What a Root whose stored blocks can be adopted has besides.
class StoredRoot : public Root {
public:
    virtual const char* family() = 0;
    virtual int fd() = 0;
    virtual uint64_t blocks(uint64_t node, sg_stored_block* out, uint64_t capacity, sg_stored_block& shared,
                            uint64_t& shared_offset) = 0;
};

// A root file system that came over the boundary (also a tree given to `finish`); does not own it.
class ForeignRoot {
public:
    ForeignRoot(const sg_root_v1* table, sg_root* root) : table_(table), root_(root) {}
    const sg_root_v1* table() const { return table_; }
    sg_root* handle() const { return root_; }

    uint64_t root() const { return table_->root(root_); }
    sg_attr stat(uint64_t node) const {
        sg_attr a{};
        check([&](sg_error* e) { return table_->stat(root_, node, &a, e); });
        return a;
    }
    uint64_t lookup(uint64_t dir, std::string_view name) const {
        uint64_t node = SG_NO_NODE;
        check([&](sg_error* e) {
            const int32_t rc = table_->lookup(root_, dir, name.data(), name.size(), &node, e);
            if (rc == SG_ENOTFOUND) node = SG_NO_NODE;
            return rc == SG_ENOTFOUND ? static_cast<int32_t>(SG_OK) : rc;
        });
        return node;
    }
    // visit(name, node, type): return false to stop.
    void list(uint64_t dir, const std::function<bool(std::string_view, uint64_t, uint32_t)>& visit) const {
        struct Arg {
            const std::function<bool(std::string_view, uint64_t, uint32_t)>* visit;
            std::exception_ptr failure;
        } arg{&visit, nullptr};
        check([&](sg_error* e) {
            return table_->list(
                root_, dir, 0,
                [](void* a, const char* name, uint64_t length, uint64_t node, uint32_t type, uint64_t) -> int32_t {
                    try {
                        return (*static_cast<Arg*>(a)->visit)({name, static_cast<size_t>(length)}, node, type) ? 0 : 1;
                    } catch (...) {
                        static_cast<Arg*>(a)->failure = std::current_exception();
                        return 1;
                    }
                },
                &arg, e);
        });
        if (arg.failure) std::rethrow_exception(arg.failure);
    }
    std::string link_target(uint64_t node) const {
        std::string out(256, '\0');
        uint64_t length = 0;
        for (;;) {
            check([&](sg_error* e) { return table_->link_target(root_, node, out.data(), out.size(), &length, e); });
            const bool fits = length <= out.size();
            out.resize(static_cast<size_t>(length));
            if (fits) return out;
        }
    }
    std::vector<std::pair<std::string, std::string>> xattrs(uint64_t node) const {
        std::vector<std::pair<std::string, std::string>> out;
        check([&](sg_error* e) {
            return table_->xattrs(
                root_, node,
                [](void* a, const char* name, const void* value, uint64_t size) -> int32_t {
                    static_cast<decltype(out)*>(a)->emplace_back(name, std::string(static_cast<const char*>(value), size));
                    return 0;
                },
                &out, e);
        });
        return out;
    }
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) const {
        uint64_t got = 0;
        check([&](sg_error* e) { return table_->read(root_, node, offset, data, capacity, &got, e); });
        return got;
    }
    Slice block(uint64_t node, uint64_t offset) const {
        sg_slice s{};
        check([&](sg_error* e) { return table_->block(root_, node, offset, &s, e); });
        return Slice(s);
    }
    // The node of an absolute or relative path without symbolic links being followed; SG_NO_NODE.
    uint64_t find(std::string_view path) const {
        uint64_t node = root();
        while (!path.empty()) {
            const auto slash = path.find('/');
            const auto name = path.substr(0, slash);
            path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
            if (name.empty() || name == ".") continue;
            if ((stat(node).mode & 0170000) != 0040000) return SG_NO_NODE;
            node = lookup(node, name);
            if (node == SG_NO_NODE) return node;
        }
        return node;
    }

private:
    const sg_root_v1* table_;
    sg_root* root_;
};

// What a new image is to be.
struct CreateSpec {
    int fd = -1;
    std::string path, arch, compress;
    int64_t time = INT64_MIN;
    uint8_t uuid[16] = {};
    std::vector<std::pair<std::string, std::string>> options;
};

class Writer {
public:
    virtual ~Writer() = default;
    virtual void part(std::string_view type, std::string_view name, std::string_view) {
        throw Error(Code::unsupported, "this format has no place for the part " + std::string(type) + " " + std::string(name));
    }
    virtual uint64_t content(const char* hint, uint64_t size, Stream& data, const Host& host) = 0;
    // SG_NO_CONTENT: cannot, use content().
    virtual uint64_t adopt(const ForeignRoot&, uint64_t) { return SG_NO_CONTENT; }
    virtual void finish(const ForeignRoot& tree, const Host& host) = 0;
};

class ImageFile {
public:
    virtual ~ImageFile() = default;
    virtual sg_image_info info() = 0;
    virtual Root& root() = 0;  // made at the first call; throws Code::unsupported
    virtual sg_mount_plan mount_plan() = 0;
};

// One part of an image file; attributes by name.
struct PartInfo {
    uint64_t id = 0, group = 0, link = 0, offset = 0, size = 0, alignment = 0;
    bool link_is_group = false;
    int64_t created = INT64_MIN, modified = INT64_MIN;
    std::string type, name;
    std::vector<std::pair<std::string, std::string>> attributes;
};

// An image file with parts.
class PartedImageFile : public ImageFile {
public:
    virtual std::vector<PartInfo> parts() = 0;
    virtual std::unique_ptr<Stream> read_part(uint64_t id, const Host& host) = 0;
    virtual uint64_t add_part(const PartInfo& spec, Stream& data, const Host& host) = 0;
    virtual void remove_part(uint64_t id, bool zero) = 0;
    virtual void set_primary(uint64_t id) = 0;
    virtual std::vector<std::pair<std::string, std::string>> header() = 0;
    struct Covered {
        uint64_t relative_id, id;
        std::string descriptor;
    };
    virtual std::string covered(uint64_t group, std::vector<Covered>& parts) = 0;  // the header's covered bytes
    // Of parts that hold a file system.
    virtual Root& part_root(uint64_t) { throw Error(Code::unsupported, "parts of this format cannot be read as file systems"); }
    virtual sg_mount_plan part_mount_plan(uint64_t) { throw Error(Code::unsupported, "parts of this format cannot be mounted"); }
};

class Format {
public:
    virtual ~Format() = default;
    virtual int probe(const char* path, bool is_directory, std::span<const uint8_t> head) = 0;
    virtual std::unique_ptr<ImageFile> open(const std::string& path, bool writable) = 0;
    virtual std::unique_ptr<Writer> create(const CreateSpec&, const Host&) {
        throw Error(Code::unsupported, "this format can only be read");
    }
    // Parts only: a new, empty container.
    virtual void create_empty(const CreateSpec&) { throw Error(Code::unsupported, "this format has no parts"); }
};

namespace detail {

struct RootBox {
    Root* root;
};
inline Root& root_of(sg_root* r) { return *reinterpret_cast<RootBox*>(r)->root; }
inline StoredRoot& stored_of(sg_root* r) { return static_cast<StoredRoot&>(root_of(r)); }

inline const sg_root_v1* root_table(bool stored) {
    static const sg_stored_v1 stored_table = {
        [](sg_root* self) { return stored_of(self).family(); },
        [](sg_root* self) -> int32_t { return stored_of(self).fd(); },
        [](sg_root* self, uint64_t node, sg_stored_block* out, uint64_t capacity, uint64_t* count, sg_stored_block* shared,
           uint64_t* shared_offset, sg_error* err) {
            return guard(err, [&] { *count = stored_of(self).blocks(node, out, capacity, *shared, *shared_offset); });
        }};
    static const auto make = [](const sg_stored_v1* s) {
        return sg_root_v1{
            [](sg_root* self) { return root_of(self).root(); },
            [](sg_root* self, uint64_t node, sg_attr* out, sg_error* err) {
                return guard(err, [&] { *out = root_of(self).stat(node); });
            },
            [](sg_root* self, uint64_t dir, const char* name, uint64_t length, uint64_t* node, sg_error* err) {
                return guard(err, [&]() -> int32_t {
                    *node = root_of(self).lookup(dir, {name, static_cast<size_t>(length)});
                    return *node == SG_NO_NODE ? SG_ENOTFOUND : SG_OK;
                });
            },
            [](sg_root* self, uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg, sg_error* err) {
                return guard(err, [&] { root_of(self).list(dir, cursor, visit, arg); });
            },
            [](sg_root* self, uint64_t node, char* out, uint64_t capacity, uint64_t* length, sg_error* err) {
                return guard(err, [&] {
                    const std::string target = root_of(self).link_target(node);
                    *length = target.size();
                    std::memcpy(out, target.data(), std::min<uint64_t>(capacity, target.size()));
                });
            },
            [](sg_root* self, uint64_t node, sg_visit_xattr visit, void* arg, sg_error* err) {
                return guard(err, [&]() -> int32_t {
                    if (node == SG_NO_NODE && !root_of(self).has_xattrs()) return SG_OK;
                    if (node == SG_NO_NODE) return fill(err, Code::not_found, "the image has no such node");
                    root_of(self).xattrs(node, visit, arg);
                    return SG_OK;
                });
            },
            [](sg_root* self, uint64_t node, uint64_t offset, void* data, uint64_t capacity, uint64_t* got, sg_error* err) {
                return guard(err, [&] { *got = root_of(self).read(node, offset, data, capacity); });
            },
            [](sg_root* self, uint64_t node, uint64_t offset, sg_slice* out, sg_error* err) {
                return guard(err, [&] { *out = root_of(self).block(node, offset).release(); });
            },
            [](sg_root* self, uint64_t node, sg_placement* out, sg_error* err) {
                return guard(err, [&] { *out = root_of(self).placement(node); });
            },
            [](sg_root* self, uint64_t* bytes, uint64_t* inodes, uint32_t* block_size) {
                root_of(self).totals(*bytes, *inodes, *block_size);
            },
            s};
    };
    static const sg_root_v1 plain = make(nullptr), with_stored = make(&stored_table);
    return stored ? &with_stored : &plain;
}

struct ImageFileBox {
    std::unique_ptr<ImageFile> file;
    RootBox root{nullptr};
    std::map<uint64_t, RootBox> part_roots;  // a map: handles point into it
    std::vector<PartInfo> parts;
    std::vector<std::unique_ptr<PairList>> attributes;
    PairList header;
    bool listed = false;

    static ImageFileBox& of(sg_image_file* f) { return *reinterpret_cast<ImageFileBox*>(f); }
    PartedImageFile& parted() { return static_cast<PartedImageFile&>(*file); }
    void list() {
        if (listed) return;
        parts = parted().parts();
        attributes.clear();
        for (auto& p : parts) {
            attributes.push_back(std::make_unique<PairList>());
            attributes.back()->set(p.attributes);
        }
        listed = true;
    }
};

inline CreateSpec from_c(const sg_create& c) {
    CreateSpec s;
    s.fd = c.fd;
    s.path = c.path ? c.path : "";
    s.arch = c.arch ? c.arch : "";
    s.compress = c.compress ? c.compress : "";
    s.time = c.time;
    std::memcpy(s.uuid, c.uuid, sizeof s.uuid);
    for (const sg_pair* p = c.options; p && p->key; ++p) s.options.emplace_back(p->key, p->value);
    return s;
}

inline const sg_writer_v1* writer_table() {
    static const auto of = [](sg_writer* w) -> Writer& { return *reinterpret_cast<Writer*>(w); };
    static const sg_writer_v1 table = {
        [](sg_writer* self, const char* type, const char* name, const void* data, uint64_t size, sg_error* err) {
            return guard(err, [&] { of(self).part(type, name, {static_cast<const char*>(data), static_cast<size_t>(size)}); });
        },
        [](sg_writer* self, const char* hint, uint64_t size, sg_stream* data, const sg_call* call, uint64_t* id, sg_error* err) {
            ForeignStream stream(data);
            return guard(err, [&] { *id = of(self).content(hint, size, stream, Host(call)); });
        },
        [](sg_writer* self, const sg_root_v1* t, sg_root* from, uint64_t node, uint64_t* id, sg_error* err) {
            return guard(err, [&]() -> int32_t {
                *id = of(self).adopt(ForeignRoot(t, from), node);
                return *id == SG_NO_CONTENT ? SG_EUNSUPPORTED : SG_OK;
            });
        },
        [](sg_writer* self, const sg_root_v1* t, sg_root* tree, const sg_call* call, sg_error* err) {
            return guard(err, [&] { of(self).finish(ForeignRoot(t, tree), Host(call)); });
        },
        [](sg_writer* self) { delete &of(self); }};
    return &table;
}

template <class T>
Format& format_object() {
    static T object;
    return object;
}

template <class T>
const sg_format_v1* format_table() {
    static const sg_format_v1 table = {
        [](const char* path, int32_t is_directory, const void* head, uint64_t size) -> int32_t {
            int score = 0;
            guard(nullptr, [&] {
                score = format_object<T>().probe(path, is_directory != 0,
                                                 {static_cast<const uint8_t*>(head), static_cast<size_t>(size)});
            });
            return score;
        },
        [](const char* path, int32_t writable, sg_image_file** out, sg_error* err) {
            return guard(err, [&] {
                auto box = std::make_unique<ImageFileBox>();
                box->file = format_object<T>().open(path, writable != 0);
                *out = reinterpret_cast<sg_image_file*>(box.release());
            });
        },
        [](sg_image_file* f) { delete &ImageFileBox::of(f); },
        [](sg_image_file* f, sg_image_info* out, sg_error* err) {
            return guard(err, [&] { *out = ImageFileBox::of(f).file->info(); });
        },
        [](sg_image_file* f, const sg_root_v1** t, sg_root** root, sg_error* err) {
            return guard(err, [&] {
                auto& box = ImageFileBox::of(f);
                box.root.root = &box.file->root();
                *t = root_table(dynamic_cast<StoredRoot*>(box.root.root) != nullptr);
                *root = reinterpret_cast<sg_root*>(&box.root);
            });
        },
        [](sg_image_file* f, sg_mount_plan* out, sg_error* err) {
            return guard(err, [&] { *out = ImageFileBox::of(f).file->mount_plan(); });
        },
        [](const sg_create* what, const sg_call* call, const sg_writer_v1** t, sg_writer** out, sg_error* err) {
            return guard(err, [&] {
                *out = reinterpret_cast<sg_writer*>(format_object<T>().create(from_c(*what), Host(call)).release());
                *t = writer_table();
            });
        }};
    return &table;
}

template <class T>
const sg_parts_v1* parts_table() {
    using Box = ImageFileBox;
    static const sg_parts_v1 table = {
        [](sg_image_file* f) -> uint64_t {
            return guard(nullptr, [&] { Box::of(f).list(); }) == SG_OK ? Box::of(f).parts.size() : 0;
        },
        [](sg_image_file* f, uint64_t i, sg_part* out, sg_error* err) {
            return guard(err, [&] {
                auto& box = Box::of(f);
                box.list();
                if (i >= box.parts.size()) throw Error(Code::not_found, "no part number " + std::to_string(i));
                const PartInfo& p = box.parts[i];
                *out = {};
                out->id = p.id, out->group = p.group, out->link = p.link, out->link_is_group = p.link_is_group;
                out->offset = p.offset, out->size = p.size, out->created = p.created, out->modified = p.modified;
                copy_text(out->type, p.type);
                copy_text(out->name, p.name);
                out->attributes = box.attributes[i]->pairs.data();
            });
        },
        [](sg_image_file* f, uint64_t id, const sg_call* call, sg_stream** out, sg_error* err) {
            return guard(err, [&] { *out = to_c(Box::of(f).parted().read_part(id, Host(call))); });
        },
        [](sg_image_file* f, const sg_part_spec* s, sg_stream* data, const sg_call* call, uint64_t* id, sg_error* err) {
            ForeignStream stream(data);
            return guard(err, [&] {
                PartInfo p;
                p.type = s->type, p.name = s->name ? s->name : "", p.group = s->group, p.link = s->link;
                p.link_is_group = s->link_is_group != 0, p.alignment = s->alignment, p.created = p.modified = s->time;
                for (const sg_pair* a = s->attributes; a && a->key; ++a) p.attributes.emplace_back(a->key, a->value);
                *id = Box::of(f).parted().add_part(p, stream, Host(call));
                Box::of(f).listed = false;
            });
        },
        [](sg_image_file* f, uint64_t id, int32_t zero, sg_error* err) {
            return guard(err, [&] {
                Box::of(f).parted().remove_part(id, zero != 0);
                Box::of(f).listed = false;
            });
        },
        [](sg_image_file* f, uint64_t id, sg_error* err) {
            return guard(err, [&] {
                Box::of(f).parted().set_primary(id);
                Box::of(f).listed = false;
            });
        },
        [](sg_image_file* f) -> const sg_pair* {
            const sg_pair* out = nullptr;
            guard(nullptr, [&] { out = Box::of(f).header.set(Box::of(f).parted().header()); });
            return out;
        },
        [](sg_image_file* f, uint64_t group, const void** header, uint64_t* size,
           int32_t (*visit)(void*, const sg_part_bytes*), void* arg, sg_error* err) {
            return guard(err, [&] {
                std::vector<PartedImageFile::Covered> parts;
                thread_local std::string bytes;
                bytes = Box::of(f).parted().covered(group, parts);
                *header = bytes.data();
                *size = bytes.size();
                for (const auto& p : parts) {
                    const sg_part_bytes b{p.relative_id, p.id, p.descriptor.data(), p.descriptor.size()};
                    if (visit(arg, &b) != 0) return;
                }
            });
        },
        [](const sg_create* what, sg_error* err) {
            return guard(err, [&] { format_object<T>().create_empty(from_c(*what)); });
        }};
    return &table;
}

template <class T>
const sg_part_roots_v1* part_roots_table() {
    static const sg_part_roots_v1 table = {
        [](sg_image_file* f, uint64_t id, const sg_root_v1** t, sg_root** root, sg_error* err) {
            return guard(err, [&] {
                auto& box = ImageFileBox::of(f);
                RootBox& part = box.part_roots[id];
                part.root = &box.parted().part_root(id);
                *t = root_table(dynamic_cast<StoredRoot*>(part.root) != nullptr);
                *root = reinterpret_cast<sg_root*>(&part);
            });
        },
        [](sg_image_file* f, uint64_t id, sg_mount_plan* out, sg_error* err) {
            return guard(err, [&] { *out = ImageFileBox::of(f).parted().part_mount_plan(id); });
        }};
    return &table;
}

}  // namespace detail
}  // namespace singularity

namespace singularity::detail {

template <class T>
    requires std::is_base_of_v<Format, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        if (version != 1) return nullptr;
        if (table == "format") return format_table<T>();
        if constexpr (requires { T::has_parts; }) {
            if (table == "parts") return parts_table<T>();
            if (table == "part_roots") return part_roots_table<T>();
        }
        return nullptr;
    }
};

}  // namespace singularity::detail
