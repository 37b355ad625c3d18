#include "writer.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "files.hpp"

namespace tarball {

using singularity::Code;
using singularity::Error;
using singularity::ForeignRoot;
using singularity::Host;
using singularity::Slice;

namespace {

constexpr uint64_t record_size = 20 * block_size;  // the usual length of a tarball is a multiple of this
constexpr size_t most_waiting = 256 << 10;
constexpr uint64_t most_copied = 16 << 20;  // between two looks whether to go on

}  // namespace

TarWriter::~TarWriter() { ::close(contents_); }

uint64_t TarWriter::content(const char*, uint64_t, singularity::Stream& data, const Host& host) {
    const uint64_t begin = contents_size_;
    for (;;) {
        host.poll();
        const Slice slice = data.next();
        if (slice.size() == 0) break;
        contents_size_ += slice.size();
        if (!slice.is_hole()) {
            write_all(contents_, slice.data(), slice.size());
        } else if (::lseek(contents_, static_cast<off_t>(contents_size_), SEEK_SET) < 0 ||
                   ::ftruncate(contents_, static_cast<off_t>(contents_size_)) != 0) {
            throw Error(Code::io, std::string("writing the tarball: ") + std::strerror(errno));
        }
    }
    known_.push_back({begin, contents_size_ - begin});
    return known_.size() - 1;
}

void TarWriter::finish(const ForeignRoot& tree, const Host& host) {
    write(tree, tree.root(), "", host);
    const uint64_t end = written_ + waiting_.size() + 2 * block_size;
    waiting_.append(2 * block_size + (record_size - end % record_size) % record_size, '\0');
    flush();
}

void TarWriter::flush() {
    write_all(fd_, waiting_.data(), waiting_.size());
    written_ += waiting_.size();
    waiting_.clear();
}

void TarWriter::write(const ForeignRoot& tree, uint64_t node, const std::string& name, const Host& host) {
    host.poll();
    const sg_attr a = tree.stat(node);
    Entry e;
    e.name = name.empty() ? "./" : name;
    e.mode = a.mode & 07777;
    e.uid = a.uid, e.gid = a.gid, e.mtime = a.mtime;
    e.xattrs = tree.xattrs(node);
    switch (a.mode & S_IFMT) {
        case S_IFDIR:
            e.type = Type::directory;
            if (!name.empty()) e.name += '/';
            break;
        case S_IFLNK: e.type = Type::symlink, e.link = tree.link_target(node); break;
        case S_IFCHR: e.type = Type::character, e.major = a.major, e.minor = a.minor; break;
        case S_IFBLK: e.type = Type::block, e.major = a.major, e.minor = a.minor; break;
        case S_IFIFO: e.type = Type::fifo; break;
        case S_IFREG: e.type = Type::file, e.size = a.content == SG_NO_CONTENT ? 0 : known_.at(a.content).size; break;
        default: host.warn("a tarball cannot hold the socket '" + name + "': it is left out"); return;
    }
    if (!S_ISDIR(a.mode) && a.nlink > 1) {
        if (const auto [first, is_new] = first_names_.try_emplace(a.inode, e.name); !is_new) {
            e.type = Type::hard_link, e.link = first->second, e.size = 0;
            e.xattrs.clear();
        }
    }
    waiting_ += encode(e);
    if (e.size > 0) {
        flush();
        for (uint64_t done = 0; done < e.size; done += std::min(most_copied, e.size - done)) {
            host.poll();
            copy(contents_, known_.at(a.content).offset + done, fd_, std::min(most_copied, e.size - done));
        }
        written_ += e.size;
        waiting_.append((block_size - e.size % block_size) % block_size, '\0');
    }
    if (waiting_.size() > most_waiting) flush();
    if (!S_ISDIR(a.mode)) return;
    std::vector<std::pair<std::string, uint64_t>> children;
    tree.list(node, [&](std::string_view child, uint64_t number, uint32_t) {
        children.emplace_back(child, number);
        return true;
    });
    for (const auto& [child, number] : children) write(tree, number, name.empty() ? child : name + "/" + child, host);
}

}  // namespace tarball
