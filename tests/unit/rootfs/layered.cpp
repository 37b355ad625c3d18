#include "layered.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/error.hpp"

namespace rootfs_test {

using singularity::Code;
using singularity::Error;
using singularity::guard;

namespace {

LayeredRecorder& of(sg_writer* w) { return *static_cast<LayeredRecorder*>(reinterpret_cast<Recorder*>(w)); }
const std::string missing = "\1 not kept";

LayeredRecorder::Files& of(sg_segment* s) { return *reinterpret_cast<LayeredRecorder::Files*>(s); }

std::string text_of(const LayeredRecorder::Files& files) {
    std::string out;
    for (const auto& [path, bytes] : files)
        out += std::to_string(path.size()) + " " + std::to_string(bytes.size()) + "\n" + path + bytes;
    return out;
}

LayeredRecorder::Files files_of(const std::string& text) {
    LayeredRecorder::Files out;
    for (size_t at = 0; at < text.size();) {
        size_t used = 0;
        const size_t path = std::stoul(text.substr(at, 24), &used);
        const size_t space = at + used;
        const size_t bytes = std::stoul(text.substr(space, 24), &used);
        const size_t begin = text.find('\n', space) + 1;
        out.emplace_back(text.substr(begin, path), text.substr(begin + path, bytes));
        at = begin + path + bytes;
    }
    return out;
}

}  // namespace

sg::LayerTables LayeredRecorder::tables(bool sparse) {
    static const sg_layers_v1 made = {
        [](sg_writer*) { return "plain"; },
        [](sg_writer* w, int32_t segment, sg_error* err) {
            return guard(err, [&] {
                LayeredRecorder& r = of(w);
                if (r.in_layer) throw Error(Code::internal, "a layer is open");
                r.in_layer = true;
                r.sparse = false;
                r.segment = segment;
                r.files.clear();
                r.collected = r.contents.size();
            });
        },
        [](sg_writer* w, const char* path, uint64_t size, sg_stream* data, const sg_call*, sg_error* err) {
            std::string bytes;
            if (data && of(w).sparse) {
                data->close(data);
                bytes = missing;
            } else if (data) {
                singularity::ForeignStream stream(data);
                bytes = all_of(stream);
            }
            return guard(err, [&] {
                LayeredRecorder& r = of(w);
                if (!r.in_layer || r.from) throw Error(Code::internal, "no layer is open");
                if ((r.segment >= 0) != (data != nullptr))
                    throw Error(Code::internal, "bytes, but no segment, or the other way about");
                if (data && !r.sparse && bytes.size() != size)
                    throw Error(Code::internal, "another size than was said");
                r.collect();
                r.files.emplace_back(path, bytes);
            });
        },
        [](sg_writer* w, const sg_call*, uint64_t* data_size, uint64_t* size, const char** why, sg_error* err) {
            return guard(err, [&] {
                LayeredRecorder& r = of(w);
                if (!r.in_layer) throw Error(Code::internal, "no layer is open");
                if (r.from && r.next != r.from->size())
                    throw Error(Code::internal, "files of the segment were left out");
                r.collect();
                *data_size = *size = 0;
                *why = "";
                if (r.segment >= 0) {
                    const std::string text = text_of(r.files);
                    // Half of it counts as data, the rest as the index.
                    *data_size = text.size() / 2, *size = text.size();
                    if (pwrite(r.segment, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
                        throw Error(Code::io, "cannot write");
                    if (text.empty()) *size = 0;
                }
                r.in_layer = false;
                r.from = nullptr;
            });
        },
        [](int32_t fd, uint64_t, uint64_t size, sg_segment** out, sg_error* err) {
            return guard(err, [&] {
                std::string text(size, '\0');
                if (pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
                    throw Error(Code::corrupt, "too short");
                *out = reinterpret_cast<sg_segment*>(new Files(files_of(text)));
            });
        },
        [](sg_segment* s) { delete &of(s); },
        [](sg_segment* s) -> uint64_t { return of(s).size(); },
        [](sg_segment* s, uint64_t number, sg_stream** out, sg_error* err) {
            return guard(err, [&] { *out = singularity::to_c(stream_of(of(s).at(number).second)); });
        },
        [](sg_writer* w, sg_segment* s, sg_error* err) {
            return guard(err, [&] {
                LayeredRecorder& r = of(w);
                if (r.in_layer) throw Error(Code::internal, "a layer is open");
                r.in_layer = true;
                r.segment = -1;
                r.from = &of(s);
                r.next = 0;
                r.collected = r.contents.size();
            });
        },
        [](sg_writer* w, const char* path, int32_t hidden, const sg_call*, uint64_t* id, sg_error* err) {
            return guard(err, [&] {
                LayeredRecorder& r = of(w);
                const auto& [known, bytes] = r.from->at(r.next++);
                if (known != path) throw Error(Code::internal, "the file " + known + " is called " + path);
                if (hidden) return;
                if (bytes == missing) throw Error(Code::corrupt, "the segment lacks a file");
                Content c;
                c.hint = path, c.bytes = bytes, c.size = bytes.size();
                r.contents.push_back(std::move(c));
                *id = r.contents.size() - 1;
            });
        }};
    static const sg_image_layers_v1 in_image = {
        [](sg_writer* w, int32_t segment, sg_error* err) {
            const int32_t rc = made.begin(w, segment, err);
            of(w).sparse = true;
            return rc;
        },
        [](int32_t fd, int32_t, uint64_t data_size, uint64_t size, sg_segment** out, sg_error* err) {
            return made.open(fd, data_size, size, out, err);
        },
        [](sg_segment* s, uint64_t number) -> int32_t { return of(s).at(number).second != missing ? 1 : 0; }};
    return {&made, sparse ? &in_image : nullptr};
}

MemoryFile::MemoryFile() : fd_(memfd_create("segment", MFD_CLOEXEC)) {}
MemoryFile::~MemoryFile() { close(fd_); }
sg::UniqueFd MemoryFile::again() const { return sg::UniqueFd(fcntl(fd_, F_DUPFD_CLOEXEC, 3)); }
std::string MemoryFile::bytes() const {
    struct stat st {};
    fstat(fd_, &st);
    std::string out(static_cast<size_t>(st.st_size), '\0');
    [[maybe_unused]] const auto n = pread(fd_, out.data(), out.size(), 0);
    return out;
}

}  // namespace rootfs_test
