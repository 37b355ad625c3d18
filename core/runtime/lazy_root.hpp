// A reader of an image's root file system that is opened only when somebody reads. Real root's kernel mounts
// the image by itself; the reader is there for kernels that cannot, and opening it costs a start half a
// millisecond.
#pragma once
#include <singularity/format.h>

#include <functional>
#include <mutex>
#include <optional>

namespace sg::runtime {

class LazyRoot {
public:
    struct Reader {
        const sg_root_v1* table;
        sg_root* root;
    };
    // `open` is called once at most, from the thread of the first use; what it throws is reported by that
    // call and by every later one.
    explicit LazyRoot(std::function<Reader()> open) : open_(std::move(open)) {}
    LazyRoot(const LazyRoot&) = delete;
    LazyRoot& operator=(const LazyRoot&) = delete;

    static const sg_root_v1* table();
    sg_root* handle() { return reinterpret_cast<sg_root*>(this); }
    bool opened() const { return reader_.has_value(); }

    const Reader& reader();  // throws

private:
    std::function<Reader()> open_;
    std::mutex guard_;
    std::optional<Reader> reader_;
};

}  // namespace sg::runtime
