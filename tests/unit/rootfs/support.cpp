#include "support.hpp"

#include <bzlib.h>
#include <lzma.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdio>
#include <functional>

#include "rootfs/digest_stream.hpp"

namespace rootfs_test {

using singularity::ForeignStream;
using singularity::Slice;
using singularity::Stream;

namespace {
void put(std::string& h, size_t at, size_t size, const std::string& s) {
    h.replace(at, std::min(size, s.size()), s.substr(0, size));
}
std::string octal(uint64_t v, int digits) {
    char b[32];
    std::snprintf(b, sizeof b, "%0*llo", digits, static_cast<unsigned long long>(v));
    return b;
}
// A number field: octal, or base 256 when it does not fit.
void number(std::string& h, size_t at, size_t size, uint64_t v) {
    const std::string s = octal(v, static_cast<int>(size) - 1);
    if (s.size() < size) return put(h, at, size, s);
    for (size_t i = size; i-- > 0; v >>= 8) h[at + i] = static_cast<char>(v & 0xff);
    h[at] = static_cast<char>(h[at] | 0x80);
}
}  // namespace

std::string checksummed(std::string h) {
    put(h, 148, 8, "        ");
    unsigned sum = 0;
    for (const char c : h) sum += static_cast<uint8_t>(c);
    put(h, 148, 8, octal(sum, 6) + '\0' + ' ');
    return h;
}

Tar& Tar::header(char type, const std::string& name, const std::string& target, uint64_t size, std::string_view data,
                 const Attr& a) {
    std::string h(512, '\0');
    put(h, 0, 100, name);
    number(h, 100, 8, static_cast<uint64_t>(a.mode < 0 ? (type == '5' ? 0755 : 0644) : a.mode));
    number(h, 108, 8, a.uid);
    number(h, 116, 8, a.gid);
    number(h, 124, 12, size);
    number(h, 136, 12, static_cast<uint64_t>(std::max<int64_t>(0, a.mtime)));
    h[156] = type;
    put(h, 157, 100, target);
    put(h, 257, 8, std::string("ustar\0" "00", 8));
    number(h, 329, 8, a.major);
    number(h, 337, 8, a.minor);
    bytes_ += checksummed(h);
    bytes_ += data;
    bytes_.append((512 - data.size() % 512) % 512, '\0');
    return *this;
}

Tar& Tar::pax(const std::string& key, const std::string& value) {
    const std::string rest = " " + key + "=" + value + "\n";
    size_t n = rest.size();
    while (std::to_string(n).size() + rest.size() != n) n = std::to_string(n).size() + rest.size();
    pax_ += std::to_string(n) + rest;
    return *this;
}

Tar& Tar::add(char type, const std::string& name, const std::string& target, std::string_view data, const Attr& a) {
    for (const auto& [k, v] : a.xattrs) pax("SCHILY.xattr." + k, v);
    if (a.mtime < 0) pax("mtime", std::to_string(a.mtime));
    if (name.size() > 100) pax("path", name);
    if (target.size() > 100) pax("linkpath", target);
    if (!pax_.empty()) {
        const std::string records = std::move(pax_);
        pax_.clear();
        header('x', "PaxHeaders/x", "", records.size(), records);
    }
    return header(type, name, target, data.size(), data, a);
}

namespace {
class Pieces final : public Stream {
public:
    Pieces(std::string bytes, size_t piece, bool owned) : bytes_(std::move(bytes)), piece_(piece), owned_(owned) {}
    Slice next() override {
        const size_t n = std::min(piece_, bytes_.size() - at_);
        if (n == 0) return {};
        const char* p = bytes_.data() + at_;
        at_ += n;
        if (owned_) return Slice::owned(std::vector<uint8_t>(p, p + n));
        // A buffer that changes at the next call, as the contract allows.
        buffer_.assign(p, n);
        return Slice::borrowed(buffer_.data(), n);
    }

private:
    std::string bytes_, buffer_;
    size_t piece_, at_ = 0;
    bool owned_;
};
}  // namespace

std::unique_ptr<Stream> stream_of(std::string bytes, size_t piece, bool owned) {
    return std::make_unique<Pieces>(std::move(bytes), piece, owned);
}

std::string all_of(Stream& s) {
    std::string out;
    for (;;) {
        const Slice x = s.next();
        if (x.size() == 0) return out;
        if (x.is_hole())
            out.append(x.size(), '\0');
        else
            out.append(x.text());
    }
}

std::string gzip(std::string_view bytes, int level) {
    z_stream z{};
    deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z.avail_in = static_cast<uInt>(bytes.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

std::string zstd(std::string_view bytes) {
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
    return out;
}

std::string xz(std::string_view bytes) {
    std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
    size_t n = 0;
    lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                            reinterpret_cast<uint8_t*>(out.data()), &n, out.size());
    out.resize(n);
    return out;
}

std::string bzip2(std::string_view bytes) {
    std::string out(bytes.size() + bytes.size() / 50 + 700, '\0');
    auto n = static_cast<unsigned>(out.size());
    BZ2_bzBuffToBuffCompress(out.data(), &n, const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()), 1, 0, 0);
    out.resize(n);
    return out;
}

std::string sha256(std::string_view bytes) {
    sg::Hasher h("sha256");
    h.update(bytes.data(), bytes.size());
    return h.finish();
}

sg::ImageWriter Recorder::writer(const sg_call* call) {
    static const auto of = [](sg_writer* w) -> Recorder& { return *reinterpret_cast<Recorder*>(w); };
    static const sg_writer_v1 table = {
        nullptr,
        [](sg_writer* self, const char* hint, uint64_t size, sg_stream* data, const sg_call*, uint64_t* id, sg_error* err) {
            Recorder& r = of(self);
            ForeignStream stream(data);
            return singularity::guard(err, [&] {
                if (r.fail_after >= 0 && r.contents.size() >= static_cast<size_t>(r.fail_after))
                    throw singularity::Error(singularity::Code::no_space, "the disk is full");
                Content c;
                c.hint = hint;
                c.size = size;
                uint64_t seen = 0;
                for (;;) {
                    const Slice s = stream.next();
                    if (s.size() == 0) break;
                    seen += s.size();
                    if (s.is_hole())
                        c.holes += s.size();
                    else if (r.keep_bytes)
                        c.bytes.append(s.text());
                }
                if (size != SG_SIZE_UNKNOWN && seen != size)
                    throw singularity::Error(singularity::Code::internal, "the stream has another size than was said");
                r.contents.push_back(std::move(c));
                *id = r.contents.size() - 1;
            });
        },
        [](sg_writer* self, const sg_root_v1*, sg_root*, uint64_t node, uint64_t* id, sg_error*) -> int32_t {
            Recorder& r = of(self);
            if (!r.adopts) return SG_EUNSUPPORTED;
            r.adopted.push_back(node);
            *id = 1000000 + node;
            return SG_OK;
        },
        [](sg_writer*, const sg_root_v1*, sg_root*, const sg_call*, sg_error*) -> int32_t { return SG_OK; },
        [](sg_writer* self) { of(self).closed = true; }};
    return {&table, reinterpret_cast<sg_writer*>(this), call};
}

sg::LayerInput layer(std::string stored, std::string_view tar) {
    sg::LayerInput l;
    l.digest = sha256(stored);
    l.diff_id = sha256(tar.empty() ? std::string_view(stored) : tar);
    l.size = stored.size();
    l.open = [stored = std::move(stored)] { return stream_of(stored, 3000); };
    return l;
}

std::vector<sg::LayerInput> layers_of(const std::vector<Tar>& tars) {
    std::vector<sg::LayerInput> out;
    for (const Tar& t : tars) out.push_back(layer(gzip(t.bytes()), t.bytes()));
    return out;
}

Merged merge(std::vector<sg::LayerInput> layers, unsigned threads, const sg::MergeLimits& limits) {
    Recorder recorder;
    sg::ImageWriter writer = recorder.writer();
    sg::Tree tree = sg::merge_layers(layers, writer, limits, {threads}, nullptr);
    return {std::move(tree), std::move(recorder)};
}

Merged merge(const std::vector<Tar>& tars, unsigned threads, const sg::MergeLimits& limits) {
    return merge(layers_of(tars), threads, limits);
}

Lines lines(Merged& m, bool full) {
    Lines out;
    const singularity::ForeignRoot root = m.tree.view();
    const std::function<void(const std::string&, uint64_t)> visit = [&](const std::string& path, uint64_t node) {
        const sg_attr a = root.stat(node);
        char mode[32];
        std::snprintf(mode, sizeof mode, "%04o", a.mode & 07777);
        std::string s;
        switch (a.mode & S_IFMT) {
            case S_IFDIR: s = std::string("dir ") + mode; break;
            case S_IFREG:
                s = "file " + (a.content == SG_NO_CONTENT ? "" : m.recorder.contents.at(a.content).bytes);
                if (a.size != (a.content == SG_NO_CONTENT ? 0 : m.recorder.contents.at(a.content).size)) s += " (wrong size)";
                break;
            case S_IFLNK: s = "-> " + root.link_target(node); break;
            case S_IFCHR: s = "chr " + std::to_string(a.major) + ":" + std::to_string(a.minor); break;
            case S_IFBLK: s = "blk " + std::to_string(a.major) + ":" + std::to_string(a.minor); break;
            case S_IFIFO: s = "fifo"; break;
            default: s = "?";
        }
        if (!S_ISDIR(a.mode) && a.nlink > 1) s += " (" + std::to_string(a.nlink) + " names)";
        if (full) {
            s += std::string(" ") + mode + " " + std::to_string(a.uid) + ":" + std::to_string(a.gid) + " " +
                 std::to_string(a.mtime) + " " + std::to_string(a.nlink) + " #" + std::to_string(a.inode);
            for (const auto& [k, v] : root.xattrs(node)) s += " " + k + "=" + v;
        }
        out[path.empty() ? "." : path] = s;
        if (!S_ISDIR(a.mode)) return;
        std::string before;
        root.list(node, [&](std::string_view name, uint64_t child, uint32_t type) {
            const std::string p = (path.empty() ? "" : path + "/") + std::string(name);
            if (!before.empty() && before >= name) out[p + " (unsorted)"] = "";
            if (type != (root.stat(child).mode & S_IFMT)) out[p + " (wrong type)"] = "";
            if (root.lookup(node, name) != child) out[p + " (not found)"] = "";
            before = name;
            visit(p, child);
            return true;
        });
    };
    visit("", root.root());
    return out;
}

Lines shape(const std::vector<Tar>& tars) {
    Merged m = merge(tars);
    Lines l = lines(m);
    l.erase(".");
    return l;
}

std::string text(const Lines& lines) {
    std::string out;
    for (const auto& [k, v] : lines) out += k + " " + v + "\n";
    return out;
}

}  // namespace rootfs_test
