#include "writer.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace tarball {

using singularity::Code;
using singularity::Error;
using singularity::ForeignRoot;
using singularity::Host;
using singularity::Slice;

namespace {

constexpr char doing[] = "writing the tarball";

[[noreturn]] void fail() {
    throw Error(errno == ENOSPC || errno == EDQUOT ? Code::no_space : Code::io,
                std::string(doing) + ": " + std::strerror(errno))
        .because(errno);
}

void check(archive* a, la_ssize_t result) {
    tarball::check(a, result, archive_errno(a) == ENOSPC || archive_errno(a) == EDQUOT ? Code::no_space : Code::io,
                   doing);
}

}  // namespace

TarWriter::~TarWriter() { ::close(contents_); }

uint64_t TarWriter::content(const char*, uint64_t, singularity::Stream& data, const Host& host) {
    const uint64_t begin = contents_size_;
    for (;;) {
        host.poll();
        const Slice slice = data.next();
        if (slice.size() == 0) break;
        for (uint64_t done = slice.is_hole() ? slice.size() : 0; done < slice.size();) {
            const ssize_t n = ::pwrite(contents_, slice.data() + done, slice.size() - done,
                                       static_cast<off_t>(contents_size_ + done));
            if (n < 0 && errno != EINTR) fail();
            if (n > 0) done += static_cast<uint64_t>(n);
        }
        contents_size_ += slice.size();
    }
    if (::ftruncate(contents_, static_cast<off_t>(contents_size_)) != 0) fail();  // a hole may be the last
    known_.push_back({begin, contents_size_ - begin});
    return known_.size() - 1;
}

void TarWriter::finish(const ForeignRoot& tree, const Host& host) {
    const Utf8Names names;
    const Writing a(archive_write_new(), archive_write_free);
    // ustar where that is enough, else pax.
    check(a.get(), archive_write_set_format_pax_restricted(a.get()));
    check(a.get(), archive_write_open_fd(a.get(), fd_));
    write(a.get(), tree, tree.root(), "", host);
    check(a.get(), archive_write_close(a.get()));
}

void TarWriter::write(archive* to, const ForeignRoot& tree, uint64_t node, const std::string& name, const Host& host) {
    host.poll();
    const sg_attr a = tree.stat(node);
    if (S_ISSOCK(a.mode)) return host.warn("a tarball cannot hold the socket '" + name + "': it is left out");
    const Entry e(archive_entry_new(), archive_entry_free);
    archive_entry_set_pathname(e.get(), name.empty() ? "./" : name.c_str());
    archive_entry_set_mode(e.get(), a.mode);
    archive_entry_set_uid(e.get(), a.uid);
    archive_entry_set_gid(e.get(), a.gid);
    archive_entry_set_mtime(e.get(), a.mtime, 0);
    archive_entry_set_rdevmajor(e.get(), a.major);
    archive_entry_set_rdevminor(e.get(), a.minor);
    if (S_ISLNK(a.mode)) archive_entry_set_symlink(e.get(), tree.link_target(node).c_str());
    Content content{0, 0};
    if (S_ISREG(a.mode) && a.content != SG_NO_CONTENT) content = known_.at(a.content);
    const auto first =
        S_ISDIR(a.mode) || a.nlink < 2 ? std::pair(first_names_.end(), true) : first_names_.try_emplace(a.inode, name);
    if (first.second) {
        for (const auto& [key, value] : tree.xattrs(node))
            archive_entry_xattr_add_entry(e.get(), key.c_str(), value.data(), value.size());
    } else {
        archive_entry_set_hardlink(e.get(), first.first->second.c_str());
        content.size = 0;
    }
    archive_entry_set_size(e.get(), static_cast<la_int64_t>(content.size));
    check(to, archive_write_header(to, e.get()));
    copy(to, content, host);
    if (!S_ISDIR(a.mode)) return;
    std::vector<std::pair<std::string, uint64_t>> children;
    tree.list(node, [&](std::string_view child, uint64_t number, uint32_t) {
        children.emplace_back(child, number);
        return true;
    });
    for (const auto& [child, number] : children)
        write(to, tree, number, name.empty() ? child : name + "/" + child, host);
}

void TarWriter::copy(archive* to, const Content& content, const Host& host) {
    std::vector<char> buffer(std::min<uint64_t>(content.size, 1 << 20));
    for (uint64_t done = 0; done < content.size;) {
        host.poll();
        const ssize_t n = ::pread(contents_, buffer.data(), std::min<uint64_t>(buffer.size(), content.size - done),
                                  static_cast<off_t>(content.offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail();
        check(to, archive_write_data(to, buffer.data(), static_cast<size_t>(n)));
        done += static_cast<uint64_t>(n);
    }
}

}  // namespace tarball
