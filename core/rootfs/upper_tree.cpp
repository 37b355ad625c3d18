#include "rootfs/upper_tree.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "base/call.hpp"
#include "base/error.hpp"
#include "rootfs/tar_reader.hpp"

namespace sg {

namespace {

constexpr std::string_view whiteout = ".wh.";
constexpr std::string_view opaque = ".wh..wh..opq";

class Reader {
public:
    Reader(ImageWriter& writer, const MergeLimits& limits, const UpperRules& rules, const sg_call* call)
        : writer_(writer), limits_(limits), rules_(rules), call_(call) {
        out_.owners_unknown = rules.owners_unknown;
    }

    UpperTree run(singularity::Stream& stream) {
        TarReader tar(stream);
        TarEntry e;
        while (tar.next(e)) {
            if (call_) call_->cancel.poll();
            entry(e, tar);
        }
        tar.drain();
        return std::move(out_);
    }

private:
    [[noreturn]] static void bad(const std::string& why) { throw Error(Code::corrupt, "the changes of the build are damaged: " + why); }

    // The node of a path; its parents must be there or are taken for directories of the tree below.
    Tree::Node node_of(std::string_view path, bool parent_only, std::string_view& last) {
        Tree::Node at = Tree::root;
        while (!path.empty()) {
            const size_t slash = path.find('/');
            const std::string_view part = path.substr(0, slash);
            path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
            if (part.empty() || part == ".") continue;
            if (part == "..") bad("the name " + std::string(part) + " in a path");
            last = part;
            if (path.empty() && parent_only) return at;
            at = out_.tree.make_child(at, part);
            if (out_.tree.node_count() > limits_.entries)
                throw Error(Code::limit, "the image has more than " + std::to_string(limits_.entries) + " entries",
                            "the configuration key limits.entries sets this limit");
        }
        return at;
    }

    void entry(const TarEntry& e, TarReader& tar) {
        std::string_view path = e.path, last;
        while (path.ends_with('/')) path.remove_suffix(1);
        const std::string_view base = path.substr(path.rfind('/') + 1);
        if (base.starts_with(whiteout)) {
            const Tree::Node parent = node_of(path, true, last);
            if (base == opaque)
                out_.opaque.insert(parent);
            else
                out_.gone.insert(out_.tree.make_child(parent, base.substr(whiteout.size())));
            return;
        }
        const Tree::Node node = node_of(path, false, last);
        if (node == Tree::root) return;
        Tree& tree = out_.tree;
        if (e.kind == TarEntry::Kind::hard_link) {
            const Tree::Node target = node_of(e.target, false, last);
            if (!tree.present(target) || tree.is_directory(target)) bad("the hard link " + std::string(e.path) + " leads nowhere");
            tree.place(node, tree.file(target));
            return;
        }
        Tree::Inode i;
        attributes(i, e, tar);
        if (e.kind == TarEntry::Kind::symlink) {
            i.target = tree.text(e.target);
            i.size = e.target.size();
        } else if (e.kind == TarEntry::Kind::file && e.size > 0) {
            if (e.size > limits_.file_size || e.size > limits_.image_size - bytes_)
                throw Error(Code::limit, std::string(e.path) + " has " + std::to_string(e.size) + " bytes, more than an image may have",
                            "the configuration keys limits.file_size and limits.image_size set the limits");
            bytes_ += e.size;
            i.size = e.size;
            i.content = writer_.content(std::string(path), e.size, tar.data());
        }
        tree.place(node, tree.add_file(i));
    }

    void attributes(Tree::Inode& i, const TarEntry& e, TarReader& tar) {
        uint32_t type = S_IFREG, permissions = e.permissions;
        switch (e.kind) {
            case TarEntry::Kind::directory: type = S_IFDIR; break;
            case TarEntry::Kind::symlink: type = S_IFLNK, permissions = 0777; break;
            case TarEntry::Kind::character: type = S_IFCHR; break;
            case TarEntry::Kind::block: type = S_IFBLK; break;
            case TarEntry::Kind::fifo: type = S_IFIFO; break;
            default: break;
        }
        i.mode = type | permissions;
        i.uid = e.uid, i.gid = e.gid;
        i.major = e.major, i.minor = e.minor;
        i.mtime = rules_.latest ? std::min(e.mtime, *rules_.latest) : e.mtime;
        Tree::Xattrs set = tar.xattrs();
        std::erase_if(set, [](const auto& x) { return !is_kept_xattr(x.first); });
        i.xattrs = out_.tree.intern_xattrs(set);
    }

    ImageWriter& writer_;
    const MergeLimits limits_;
    const UpperRules rules_;
    const sg_call* call_;
    UpperTree out_;
    uint64_t bytes_ = 0;
};

}  // namespace

UpperTree read_upper(singularity::Stream& tar, ImageWriter& writer, const MergeLimits& limits, const UpperRules& rules,
                     const sg_call* call) {
    return Reader(writer, limits, rules, call).run(tar);
}

}  // namespace sg
