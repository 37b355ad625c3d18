// Loads a bootstrap source's object as the host does and talks to it over the C boundary only.
#pragma once
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <singularity/bootstrap.h>
#include <singularity/host.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <singularity/stream.hpp>
#include <string>
#include <vector>

namespace fixture {

using singularity::Code;
using singularity::Error;

// ---- the host's side: log lines are kept, the cancel token is a flag ----------------------------
inline std::mutex log_mutex;
inline std::vector<std::string> log_lines;
inline std::atomic<int32_t> cancel_flag{0};

// Services that a test adds.
inline const void* (*more_tables)(const char* name, uint32_t version) = nullptr;

inline const void* host_table(const sg_host*, const char* name, uint32_t version) {
    static const sg_host_log_v1 log = {[](int32_t) -> int32_t { return 1; },
                                       [](int32_t, const char* text) {
                                           const std::lock_guard lock(log_mutex);
                                           log_lines.emplace_back(text);
                                       }};
    static const sg_host_call_v1 call = {[](const sg_call*) -> int32_t { return cancel_flag; },
                                         [](const sg_call*) -> int32_t { return -1; },
                                         [](const sg_call*, const char*, uint64_t) -> sg_task* { return nullptr; },
                                         [](sg_task*, uint64_t) {}, [](sg_task*, int32_t) {}};
    if (std::string_view(name) == "log" && version == 1) return &log;
    if (std::string_view(name) == "call" && version == 1) return &call;
    return more_tables ? more_tables(name, version) : nullptr;
}
// Any address will do: the plugin only hands it back.
inline const sg_call* a_call() {
    static const int there = 0;
    return reinterpret_cast<const sg_call*>(&there);
}

template <class Table>
const Table& load(const char* object, const char* capability, const char* table) {
    static const sg_host host = {SG_ABI_VERSION, "4.0.0", host_table};
    void* handle = ::dlopen(object, RTLD_NOW | RTLD_LOCAL);
    if (!handle) throw std::runtime_error(::dlerror());
    const auto entry = reinterpret_cast<const sg_plugin* (*)()>(::dlsym(handle, "singularity_plugin"));
    if (!entry) throw std::runtime_error("no entry");
    const sg_plugin* plugin = entry();
    singularity::check([&](sg_error* e) { return plugin->start(&host, e); });
    const void* found = plugin->table(capability, table, 1);
    if (!found) throw std::runtime_error("no table");
    return *static_cast<const Table*>(found);
}

inline std::string sha256(std::string_view bytes) {
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_Digest(bytes.data(), bytes.size(), md, &n, EVP_sha256(), nullptr);
    std::string out = "sha256:";
    for (unsigned i = 0; i < n; ++i) {
        static constexpr char digits[] = "0123456789abcdef";
        out += digits[md[i] >> 4];
        out += digits[md[i] & 15];
    }
    return out;
}

// Empties a stream and closes it.
inline std::string drain(sg_stream* raw) {
    singularity::ForeignStream stream(raw);
    return singularity::read_all(stream, UINT64_C(4) << 30, "the stream");
}

struct Wish {
    std::string arch = "amd64", variant;
    bool named = false;
    std::string directory = "/";
};

struct Id {
    std::string key, name, cache_area, arch, variant;
};

struct Layer {
    std::string media_type, digest, diff_id, bytes;
    uint64_t size;
};

// A whole image as a host would read it.
struct Read {
    std::string manifest, manifest_type, config, config_digest;
    std::vector<Layer> layers;
    std::vector<std::string> part_keys;  // of a sequential image
    bool sequential = false;
};

class Source {
public:
    Source(const char* object, std::string scheme)
        : scheme_(std::move(scheme)), table_(load<sg_bootstrap_v1>(object, scheme_.c_str(), "bootstrap")) {}

    Id resolve(const std::string& reference, const Wish& wish = {}) const {
        sg_identity id{};
        const sg_source_spec s = spec(reference, wish);
        singularity::check([&](sg_error* e) { return table_.resolve(&s, a_call(), &id, e); });
        return {id.key, id.name, id.cache_area, id.arch, id.variant};
    }
    struct Closer {
        void operator()(sg_image* i) const { i->close(i); }
    };
    using ImagePtr = std::unique_ptr<sg_image, Closer>;
    ImagePtr open(const std::string& reference, const Wish& wish = {}) const {
        sg_image* image = nullptr;
        const sg_source_spec s = spec(reference, wish);
        singularity::check([&](sg_error* e) { return table_.open(&s, a_call(), &image, e); });
        return ImagePtr(image);
    }
    Read read(const std::string& reference, const Wish& wish = {}) const {
        const ImagePtr image = open(reference, wish);
        return read(image.get());
    }
    static Read read(sg_image* image) {
        Read out;
        const sg_layers* l = image->layers;
        if (!l) throw std::runtime_error("not a layered image");
        out.sequential = l->sequential != 0;
        std::vector<std::string> parts;
        while (out.sequential) {
            const char* key = nullptr;
            uint64_t size = 0;
            sg_stream* stream = nullptr;
            singularity::check([&](sg_error* e) { return l->next_part(image, a_call(), &key, &size, &stream, e); });
            if (!key) break;
            out.part_keys.emplace_back(key);
            parts.push_back(drain(stream));
            if (parts.back().size() != size) throw std::runtime_error("a part has another size than said");
        }
        sg_slice s{};
        const char* text = nullptr;
        singularity::check([&](sg_error* e) { return l->manifest(image, &s, &text, e); });
        out.manifest = singularity::Slice(s).text();
        out.manifest_type = text;
        singularity::check([&](sg_error* e) { return l->config(image, &s, &text, e); });
        out.config = singularity::Slice(s).text();
        out.config_digest = text;
        for (uint64_t i = 0; i < l->count(image); ++i) {
            sg_blob b{};
            singularity::check([&](sg_error* e) { return l->describe(image, i, &b, e); });
            Layer layer{b.media_type, b.digest, b.diff_id, {}, b.size};
            if (out.sequential) {
                uint64_t n = 0;
                singularity::check([&](sg_error* e) { return l->part(image, i, &n, e); });
                layer.bytes = parts.at(n);
            } else {
                sg_stream* stream = nullptr;
                singularity::check([&](sg_error* e) { return l->layer(image, i, a_call(), &stream, e); });
                layer.bytes = drain(stream);
            }
            out.layers.push_back(std::move(layer));
        }
        return out;
    }

private:
    sg_source_spec spec(const std::string& reference, const Wish& w) const {
        return {scheme_.c_str(), reference.c_str(), w.directory.c_str(),
                w.arch.c_str(),  w.variant.c_str(), w.named ? 1 : 0,
                nullptr};
    }
    std::string scheme_;
    const sg_bootstrap_v1& table_;
};

// Every digest that the image tells agrees with its bytes.
inline void check_digests(const Read& r) {
    BOOST_TEST(sha256(r.config) == r.config_digest);
    for (const Layer& l : r.layers) {
        BOOST_TEST(l.size == l.bytes.size());
        if (!l.digest.empty()) BOOST_TEST(sha256(l.bytes) == l.digest);
        // Uncompressed layers tell their diff ID as well.
        if (l.bytes.size() > 512 && l.bytes.compare(257, 5, "ustar") == 0) BOOST_TEST(sha256(l.bytes) == l.diff_id);
    }
}

// The Error that `f` throws; fails the test when it throws none.
inline Error error_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const Error& e) {
        BOOST_TEST_MESSAGE(e.message() + " | " + e.hint());
        return e;
    }
    BOOST_FAIL("no error");
    return Error(Code::internal, "");
}

inline bool contains(const std::string& text, const std::string& part) {
    const bool is = text.find(part) != std::string::npos;
    if (!is) BOOST_TEST_MESSAGE("\"" << text << "\" does not contain \"" << part << "\"");
    return is;
}

// The folder of other projects' artefacts, or "" (then a test has nothing to say).
inline std::string shared_data() {
    const char* dir = std::getenv("SINGULARITY_TEST_DATA");
    if (dir && *dir && std::filesystem::is_directory(dir)) return dir;
    BOOST_TEST_MESSAGE("skipped: SINGULARITY_TEST_DATA names no directory");
    return {};
}

// A directory of its own for a test.
class Scratch {
public:
    Scratch() {
        std::string pattern = (std::filesystem::temp_directory_path() / "sg-sources-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
        path_ = pattern;
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }
    std::string write(const std::string& name, std::string_view bytes) const {
        const std::filesystem::path p = std::filesystem::path(path_) / name;
        std::filesystem::create_directories(p.parent_path());
        std::ofstream(p, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return p.string();
    }

private:
    std::string path_;
};

// ---- tar archives made by hand --------------------------------------------------------------------
inline std::string tar_header(const std::string& name, uint64_t size, char type = '0', const std::string& link = {}) {
    std::string h(512, '\0');
    const auto put = [&](size_t at, const std::string& text) { h.replace(at, text.size(), text); };
    const auto octal = [](uint64_t v, int width) {
        std::string s(static_cast<size_t>(width), '0');
        for (int i = width - 1; i >= 0; --i, v >>= 3) s[static_cast<size_t>(i)] = static_cast<char>('0' + (v & 7));
        return s;
    };
    put(0, name.substr(0, 100));
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(size, 11));
    put(136, "00000000000");
    put(148, "        ");
    h[156] = type;
    put(157, link.substr(0, 100));
    put(257, std::string("ustar\0"
                         "00",
                         8));
    uint64_t sum = 0;
    for (char c : h) sum += static_cast<unsigned char>(c);
    put(148, octal(sum, 6));
    h[154] = '\0';
    h[155] = ' ';
    return h;
}
inline std::string tar_member(const std::string& name, const std::string& data, char type = '0',
                              const std::string& link = {}) {
    return tar_header(name, data.size(), type, link) + data + std::string((512 - data.size() % 512) % 512, '\0');
}
inline std::string tar_end() { return std::string(1024, '\0'); }
// A layer with one file.
inline std::string a_layer(const std::string& text) { return tar_member("file", text) + tar_end(); }

// `bytes` through a compressor of the system ("gzip", "xz", "zstd", "bzip2"); "" when it is not installed.
inline std::string compress(const std::string& program, std::string_view bytes) {
    const Scratch dir;
    const std::string in = dir.write("in", bytes);
    if (std::system((program + " -c < " + in + " > " + in + ".out 2>/dev/null").c_str()) != 0) return {};
    std::ifstream out(in + ".out", std::ios::binary);
    return {std::istreambuf_iterator<char>(out), std::istreambuf_iterator<char>()};
}

}  // namespace fixture
