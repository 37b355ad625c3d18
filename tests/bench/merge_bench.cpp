// What the front end of a conversion costs: everything from the layers on disk up to the writer.
//
//     merge_bench LAYOUT [merge|inflate] [THREADS]
//
// `merge` merges into a writer that drops what it gets; `inflate` only inflates and hashes, one layer
// after another in one thread: the floor. Prints wall and CPU seconds and peak memory.
#include <fcntl.h>
#include <rapidjson/document.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/unique_fd.hpp"
#include "rootfs/decompress.hpp"
#include "rootfs/digest_stream.hpp"
#include "rootfs/merge.hpp"

namespace {

using singularity::ForeignStream;
using singularity::Slice;
using singularity::Stream;

std::string load(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream s;
    s << in.rdbuf();
    return s.str();
}

class File final : public Stream {
public:
    explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), pool_(sg::BufferPool::make()) {
        if (!fd_) throw singularity::Error(singularity::Code::not_found, "cannot open " + path);
    }
    Slice next() override {
        auto b = pool_->take();
        const ssize_t n = ::read(fd_.get(), b.data(), sg::BufferPool::size);
        if (n < 0) throw singularity::Error(singularity::Code::io, "read failed");
        return n == 0 ? Slice() : std::move(b).slice(static_cast<uint64_t>(n));
    }

private:
    sg::UniqueFd fd_;
    std::shared_ptr<sg::BufferPool> pool_;
};

struct Drop {
    uint64_t files = 0, bytes = 0;
};

sg::ImageWriter dropping(Drop& drop) {
    static const sg_writer_v1 table = {
        nullptr,
        [](sg_writer* self, const char*, uint64_t, sg_stream* data, const sg_call*, uint64_t* id, sg_error* err) {
            auto& d = *reinterpret_cast<Drop*>(self);
            ForeignStream s(data);
            return singularity::guard(err, [&] {
                for (;;) {
                    const Slice x = s.next();
                    if (x.size() == 0) break;
                    d.bytes += x.size();
                }
                *id = d.files++;
            });
        },
        nullptr,
        [](sg_writer*, const sg_root_v1*, sg_root*, const sg_call*, sg_error*) -> int32_t { return SG_OK; },
        [](sg_writer*) {}};
    return {&table, reinterpret_cast<sg_writer*>(&drop), nullptr};
}

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: merge_bench LAYOUT [merge|inflate] [THREADS]\n");
        return 1;
    }
    const std::string layout = argv[1];
    const std::string mode = argc > 2 ? argv[2] : "merge";
    const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 2;
    const auto blob = [&](const std::string& digest) { return layout + "/blobs/sha256/" + digest.substr(7); };

    try {
        rapidjson::Document index, manifest, config;
        index.Parse(load(layout + "/index.json"));
        manifest.Parse(load(blob(index["manifests"][0]["digest"].GetString())));
        config.Parse(load(blob(manifest["config"]["digest"].GetString())));
        std::vector<sg::LayerInput> layers;
        for (const auto& l : manifest["layers"].GetArray()) {
            sg::LayerInput in;
            in.digest = l["digest"].GetString();
            in.size = l["size"].GetUint64();
            in.diff_id = config["rootfs"]["diff_ids"][static_cast<unsigned>(layers.size())].GetString();
            in.open = [path = blob(in.digest)] { return std::make_unique<File>(path); };
            layers.push_back(std::move(in));
        }

        const auto start = std::chrono::steady_clock::now();
        uint64_t files = 0, bytes = 0;
        size_t entries = 0;
        if (mode == "inflate") {
            for (auto& l : layers) {
                auto s = sg::verify(sg::decompress(sg::verify(l.open(), {l.digest, l.size, l.digest})), {l.diff_id});
                for (;;) {
                    const Slice x = s->next();
                    if (x.size() == 0) break;
                    bytes += x.size();
                }
            }
        } else {
            Drop drop;
            auto writer = dropping(drop);
            sg::Tree tree = sg::merge_layers(layers, writer, {}, {threads}, nullptr);
            writer.finish(tree);
            files = drop.files, bytes = drop.bytes, entries = tree.node_count();
        }
        const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
        rusage u{};
        getrusage(RUSAGE_SELF, &u);
        std::printf("%s threads %u: wall %.2f s, cpu %.2f s (user %.2f, system %.2f), peak %.1f MB, %llu files, %.2f GB, %zu nodes\n",
                    mode.c_str(), threads, wall.count(), seconds(u.ru_utime) + seconds(u.ru_stime), seconds(u.ru_utime),
                    seconds(u.ru_stime), static_cast<double>(u.ru_maxrss) / 1024, static_cast<unsigned long long>(files),
                    static_cast<double>(bytes) / 1e9, entries);
    } catch (const singularity::Error& e) {
        std::fprintf(stderr, "%s\n%s\n", e.what(), e.hint().c_str());
        return 1;
    }
    return 0;
}
