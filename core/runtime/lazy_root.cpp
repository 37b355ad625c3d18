#include "runtime/lazy_root.hpp"

#include <singularity/error.hpp>

namespace sg::runtime {
namespace {

LazyRoot& self_of(sg_root* root) { return *reinterpret_cast<LazyRoot*>(root); }

// Forwards one call of the table.
template <auto Member, class... Args>
int32_t forward(sg_root* self, sg_error* err, Args... args) {
    return singularity::guard(err, [&]() -> int32_t {
        const auto& r = self_of(self).reader();
        return (r.table->*Member)(r.root, args..., err);
    });
}

}  // namespace

const LazyRoot::Reader& LazyRoot::reader() {
    const std::lock_guard lock(guard_);
    if (!reader_) reader_ = open_();
    return *reader_;
}

const sg_root_v1* LazyRoot::table() {
    static const sg_root_v1 functions = {
        [](sg_root* s) -> uint64_t {
            try {
                const auto& r = self_of(s).reader();
                return r.table->root(r.root);
            } catch (...) {
                return SG_NO_NODE;  // the next call with it says why
            }
        },
        [](sg_root* s, uint64_t node, sg_attr* out, sg_error* e) { return forward<&sg_root_v1::stat>(s, e, node, out); },
        [](sg_root* s, uint64_t dir, const char* name, uint64_t length, uint64_t* node, sg_error* e) {
            return forward<&sg_root_v1::lookup>(s, e, dir, name, length, node);
        },
        [](sg_root* s, uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg, sg_error* e) {
            return forward<&sg_root_v1::list>(s, e, dir, cursor, visit, arg);
        },
        [](sg_root* s, uint64_t node, char* out, uint64_t capacity, uint64_t* length, sg_error* e) {
            return forward<&sg_root_v1::link_target>(s, e, node, out, capacity, length);
        },
        [](sg_root* s, uint64_t node, sg_visit_xattr visit, void* arg, sg_error* e) { return forward<&sg_root_v1::xattrs>(s, e, node, visit, arg); },
        [](sg_root* s, uint64_t node, uint64_t offset, void* data, uint64_t capacity, uint64_t* got, sg_error* e) {
            return forward<&sg_root_v1::read>(s, e, node, offset, data, capacity, got);
        },
        [](sg_root* s, uint64_t node, uint64_t offset, sg_slice* out, sg_error* e) { return forward<&sg_root_v1::block>(s, e, node, offset, out); },
        [](sg_root* s, uint64_t node, sg_placement* out, sg_error* e) { return forward<&sg_root_v1::placement>(s, e, node, out); },
        [](sg_root* s, uint64_t* bytes, uint64_t* inodes, uint32_t* block_size) {
            *bytes = *inodes = 0;
            *block_size = 4096;
            try {
                const auto& r = self_of(s).reader();
                r.table->totals(r.root, bytes, inodes, block_size);
            } catch (...) {  // statfs shows zeroes
            }
        },
        nullptr};
    return &functions;
}

}  // namespace sg::runtime
