#include "rootfs/copy.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/call.hpp"
#include "base/error.hpp"

namespace sg {

using singularity::ForeignRoot;
using singularity::Slice;
using singularity::Stream;

namespace {

// A file of the reader, block by block.
class FileStream final : public Stream {
public:
    FileStream(const ForeignRoot& from, uint64_t node, uint64_t size, const sg_call* call)
        : from_(from), node_(node), size_(size), call_(call) {}
    Slice next() override {
        if (call_) call_->cancel.poll();
        if (at_ == size_) return {};
        Slice s = from_.block(node_, at_);
        if (s.size() == 0 || s.size() > size_ - at_)
            throw Error(Code::corrupt, "a file has other bytes than its size of " + std::to_string(size_) + " says");
        at_ += s.size();
        return s;
    }

private:
    const ForeignRoot& from_;
    const uint64_t node_, size_;
    const sg_call* call_;
    uint64_t at_ = 0;
};

class Copy {
public:
    Copy(const ForeignRoot& from, ImageWriter& writer, const MergeLimits& limits, UpperTree upper, const sg_call* call)
        : from_(from), writer_(writer), limits_(limits), call_(call), upper_(std::move(upper)), tree_(upper_.tree) {}

    Tree run() {
        struct Step {
            uint64_t node;
            Tree::Node to;
        };
        const uint64_t top = from_.root();
        const sg_attr a = from_.stat(top);
        if (!S_ISDIR(a.mode)) bad("its root is no directory");
        attributes(tree_.inode(tree_.file(Tree::root)), top, a);
        std::vector<Step> todo{{top, Tree::root}};
        directories_.insert(top);
        while (!todo.empty()) {
            const Step s = todo.back();
            todo.pop_back();
            const size_t first = todo.size();
            from_.list(s.node, [&](std::string_view name, uint64_t node, uint32_t) {
                if (call_) call_->cancel.poll();
                const Tree::Node to = add(s.to, name, node);
                if (to != Tree::none && tree_.is_directory(to)) todo.push_back({node, to});
                return true;
            });
            std::reverse(todo.begin() + static_cast<ptrdiff_t>(first), todo.end());
        }
        return std::move(tree_);
    }

private:
    [[noreturn]] static void bad(const std::string& why) { throw Error(Code::corrupt, "the root file system is damaged: " + why); }
    [[noreturn]] static void too_much(const std::string& why, const char* key) {
        throw Error(Code::limit, why, std::string("the configuration key ") + key + " sets this limit");
    }

    // What is over the name `to` hides it; a directory over a directory shows both.
    bool hidden(Tree::Node to, uint64_t node) {
        if (upper_.gone.count(to)) return true;
        if (!tree_.present(to)) return false;
        if (to >= first_new_ || merged_.count(to)) bad("the name " + tree_.path(to) + " stands twice");
        const sg_attr a = from_.stat(node);
        Tree::Inode& over = tree_.inode(tree_.file(to));
        const bool same_type = (a.mode & S_IFMT) == (over.mode & S_IFMT);
        if (upper_.owners_unknown && same_type) over.uid = a.uid, over.gid = a.gid;
        if (!S_ISDIR(a.mode) || !same_type || upper_.opaque.count(to)) return true;
        if (!directories_.insert(node).second) bad("the directory " + tree_.path(to) + " stands in two places");
        merged_.insert(to);
        return false;
    }

    // none: something else is there.
    Tree::Node add(Tree::Node dir, std::string_view name, uint64_t node) {
        if (name.empty() || name == "." || name == ".." || name.size() > 256 || name.find('/') != std::string_view::npos ||
            name.find('\0') != std::string_view::npos)
            bad("a directory has a name that cannot be");
        const Tree::Node to = tree_.make_child(dir, name);
        if (hidden(to, node)) return Tree::none;
        if (merged_.count(to)) return to;
        if (tree_.node_count() > limits_.entries)
            too_much("the image has more than " + std::to_string(limits_.entries) + " entries", "limits.entries");
        const sg_attr a = from_.stat(node);
        if (S_ISDIR(a.mode)) {
            if (!directories_.insert(node).second) bad("the directory " + tree_.path(to) + " stands in two places");
            if (tree_.path(to).size() > limits_.path_length)
                too_much("a path is longer than the limit of " + std::to_string(limits_.path_length) + " bytes",
                         "limits.path_length");
        } else if (a.nlink > 1) {
            const auto at = links_.find(a.inode);
            if (at != links_.end()) {
                tree_.place(to, at->second);
                return to;
            }
        }
        Tree::Inode i;
        attributes(i, node, a);
        const auto type = a.mode & S_IFMT;
        if (type == S_IFREG) {
            content(i, to, node, a);
        } else if (type == S_IFLNK) {
            const std::string target = from_.link_target(node);
            if (target.size() > limits_.path_length)
                too_much("the target of the link " + tree_.path(to) + " is longer than the limit of " +
                             std::to_string(limits_.path_length) + " bytes",
                         "limits.path_length");
            i.target = tree_.text(target);
            i.size = target.size();
        } else if (type == S_IFCHR || type == S_IFBLK) {
            i.major = a.major, i.minor = a.minor;
        } else if (type != S_IFDIR && type != S_IFIFO && type != S_IFSOCK) {
            bad("the type of " + tree_.path(to) + " is not known");
        }
        const Tree::File f = tree_.add_file(i);
        tree_.place(to, f);
        if (!S_ISDIR(a.mode) && a.nlink > 1) links_.emplace(a.inode, f);
        return to;
    }

    void attributes(Tree::Inode& i, uint64_t node, const sg_attr& a) {
        i.mode = a.mode;
        i.uid = a.uid, i.gid = a.gid;
        i.mtime = a.mtime;
        Tree::Xattrs set = from_.xattrs(node);
        uint64_t bytes = 0;
        std::erase_if(set, [&](const auto& x) {
            bytes += x.first.size() + x.second.size();
            return !is_kept_xattr(x.first);
        });
        if (bytes > limits_.xattr_bytes)
            too_much("the extended attributes of one file are larger than the limit of " +
                         std::to_string(limits_.xattr_bytes) + " bytes",
                     "limits.xattr_bytes");
        i.xattrs = tree_.intern_xattrs(set);
    }

    void content(Tree::Inode& i, Tree::Node to, uint64_t node, const sg_attr& a) {
        i.size = a.size;
        if (a.size == 0) return;
        if (a.size > limits_.file_size)
            too_much(tree_.path(to) + " has " + std::to_string(a.size) + " bytes, more than the limit of " +
                         std::to_string(limits_.file_size),
                     "limits.file_size");
        if (a.size > limits_.image_size - bytes_)
            too_much("the files of the image have more than " + std::to_string(limits_.image_size) + " bytes",
                     "limits.image_size");
        bytes_ += a.size;
        if (const auto taken = writer_.adopt(from_, node)) {
            i.content = *taken;
            return;
        }
        FileStream data(from_, node, a.size, call_);
        i.content = writer_.content(tree_.path(to), a.size, data);
    }

    const ForeignRoot& from_;
    ImageWriter& writer_;
    const MergeLimits limits_;
    const sg_call* call_;
    UpperTree upper_;
    Tree& tree_;
    const uint64_t first_new_ = tree_.node_count();  // names before it are upper_'s
    std::unordered_set<Tree::Node> merged_;          // directories of both
    std::unordered_map<uint64_t, Tree::File> links_;  // by inode number
    std::unordered_set<uint64_t> directories_;        // nodes: a loop would never end
    uint64_t bytes_ = 0;
};

}  // namespace

Tree copy_root(const ForeignRoot& from, ImageWriter& writer, const MergeLimits& limits, const sg_call* call) {
    return Copy(from, writer, limits, {}, call).run();
}

Tree copy_root(const ForeignRoot& from, ImageWriter& writer, const MergeLimits& limits, UpperTree upper, const sg_call* call) {
    return Copy(from, writer, limits, std::move(upper), call).run();
}

}  // namespace sg
