// Tables "bootstrap" 1, "publish" 1, "search" 1 and "delete" 1.
#include <singularity/bootstrap.h>
#include <string.h>
#include <sys/stat.h>

#include <filesystem>

#include "checks.hpp"
#include "contract.hpp"

namespace conformance {

namespace {

// A request for `reference`; texts live as long as it does.
struct Spec {
    std::string scheme, reference, directory;
    sg_pair none[1] = {{nullptr, nullptr}};
    sg_source_spec c{};
    Spec(const Run& run, const Capability& capability, std::string r)
        : scheme(capability.name), reference(std::move(r)), directory(run.scratch.path() + "/home") {
        // What people type: SCHEME:REFERENCE or SCHEME://REFERENCE.
        if (reference.starts_with(scheme + ":")) {
            reference.erase(0, scheme.size() + 1);
            if (reference.starts_with("//")) reference.erase(0, 2);
        }
        c = {scheme.c_str(), reference.c_str(), directory.c_str(), "amd64", "", 0, none};
#if defined(__aarch64__)
        c.arch = "arm64";
#endif
    }
};

void check_identity(Probe& probe, const sg_identity& id, const std::string& step) {
    const bool whole = ends(id.key, sizeof id.key) && ends(id.name, sizeof id.name) &&
                       ends(id.cache_area, sizeof id.cache_area) && ends(id.arch, sizeof id.arch) &&
                       ends(id.variant, sizeof id.variant);
    if (!probe.expect(whole, "gives an identity with a text that does not end in its room " + step)) return;
    probe.expect(!strchr(id.name, '/'), "gives '" + shown(id.name) + "' as a file name " + step);
    probe.expect(!strchr(id.cache_area, '/') && strcmp(id.cache_area, "..") != 0,
                 "gives '" + shown(id.cache_area) + "' as a cache area " + step);
}

// What an opened image of each kind must have.
bool check_shape(Probe& probe, const sg_image* image, const std::string& step) {
    if (!probe.expect(image, "gives no image though it succeeds " + step)) return false;
    if (!probe.expect(image->close, "gives an image without close " + step)) return false;
    switch (image->kind) {
        case SG_LAYERS: {
            const sg_layers* l = image->layers;
            return probe.expect(l && l->manifest && l->config && l->count && l->describe &&
                                    (l->sequential ? l->next_part && l->part : l->layer != nullptr),
                                "gives layers without all their functions " + step);
        }
        case SG_BLOB: return probe.expect(image->blob && image->fetch, "gives a blob without its functions " + step);
        case SG_PATH:
            return probe.expect(image->path && image->path[0] == '/', "gives a path that is not absolute " + step);
        case SG_RECIPE: return probe.expect(image->recipe, "gives a recipe without its function " + step);
        case SG_EMPTY: return true;
        default:
            probe.fail("gives an image of the unknown kind " + std::to_string(image->kind) + " " + step);
            return false;
    }
}

bool is_digest(const std::string& text) {
    return text.size() == 71 && text.starts_with("sha256:") &&
           text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

void check_blob(Probe& probe, const sg_blob& b, const Read& read, const std::string& step) {
    if (read.code != SG_OK) return;
    probe.expect(b.size == SG_SIZE_UNKNOWN || b.size == read.size,
                 "says " + std::to_string(b.size) + " bytes and gives " + std::to_string(read.size) + " " + step);
    const std::string digest = b.digest ? b.digest : "";
    if (digest.empty()) return;
    if (!probe.expect(is_digest(digest), "gives '" + shown(digest) + "' as a digest " + step)) return;
    probe.expect(digest == "sha256:" + read.sha256, "gives bytes that do not match their digest " + step);
}

void release(const sg_slice& s) {
    if (s.owner && s.release) s.release(s.owner);
}

void read_sequential(Probe& probe, sg_image* image, const sg_call* call) {
    const sg_layers& l = *image->layers;
    std::vector<Read> parts;
    for (unsigned i = 0; i < 100000; ++i) {
        const char* key = nullptr;
        uint64_t size = 0;
        sg_stream* stream = nullptr;
        if (called(probe, "in next_part",
                   [&](sg_error* e) { return l.next_part(image, call, &key, &size, &stream, e); }) != SG_OK)
            return probe.fail("cannot give its parts");
        if (!key) break;
        parts.push_back(drain(probe, "in a part", stream));
        probe.expect(
            size == SG_SIZE_UNKNOWN || size == parts.back().size,
            "says " + std::to_string(size) + " bytes of a part and gives " + std::to_string(parts.back().size));
    }
    for (uint64_t i = 0; i < l.count(image); ++i) {
        uint64_t number = 0;
        if (called(probe, "in part", [&](sg_error* e) { return l.part(image, i, &number, e); }) != SG_OK) continue;
        if (!probe.expect(number < parts.size(),
                          "names part " + std::to_string(number) + " of " + std::to_string(parts.size())))
            continue;
        sg_blob b{};
        if (called(probe, "in describe", [&](sg_error* e) { return l.describe(image, i, &b, e); }) == SG_OK)
            check_blob(probe, b, parts[static_cast<size_t>(number)], "in layer " + std::to_string(i));
    }
}

void read_documents(Probe& probe, sg_image* image) {
    const sg_layers& l = *image->layers;
    sg_slice bytes{};
    const char *type = nullptr, *digest = nullptr;
    if (called(probe, "in manifest", [&](sg_error* e) { return l.manifest(image, &bytes, &type, e); }) == SG_OK) {
        probe.expect(bytes.size == 0 || (type && *type), "gives a manifest without its media type");
        release(bytes);
    }
    bytes = {};
    if (called(probe, "in config", [&](sg_error* e) { return l.config(image, &bytes, &digest, e); }) == SG_OK) {
        probe.expect(bytes.size > 0 && bytes.data, "gives an empty config");
        if (digest && *digest && bytes.data)
            probe.expect(digest == "sha256:" + sha256_of(bytes.data, static_cast<size_t>(bytes.size)),
                         "gives a config that does not match its digest");
        release(bytes);
    }
    sg_blob b{};
    const uint64_t beyond = l.count(image);
    refused(probe, "in describe, of a layer beyond the last",
            [&](sg_error* e) { return l.describe(image, beyond, &b, e); });
    refused(probe, "in describe, of layer 2^64-1", [&](sg_error* e) { return l.describe(image, UINT64_MAX, &b, e); });
}

// Reads every byte of an image by one thread.
void read_image(Probe& probe, sg_image* image, const sg_call* call, const std::string& directory) {
    switch (image->kind) {
        case SG_LAYERS: {
            const sg_layers& l = *image->layers;
            if (l.sequential) {
                read_sequential(probe, image, call);
                return read_documents(probe, image);
            }
            read_documents(probe, image);
            for (uint64_t i = 0; i < l.count(image); ++i) {
                const std::string where = "in layer " + std::to_string(i);
                sg_blob b{};
                sg_stream* stream = nullptr;
                if (called(probe, "in describe", [&](sg_error* e) { return l.describe(image, i, &b, e); }) != SG_OK)
                    continue;
                probe.expect(b.media_type && b.digest && b.diff_id, "describes a layer with a NULL text " + where);
                probe.expect(b.diff_id && is_digest(b.diff_id), "gives no diff ID " + where);
                if (called(probe, where, [&](sg_error* e) { return l.layer(image, i, call, &stream, e); }) != SG_OK) {
                    probe.fail("cannot give a layer " + where);
                    continue;
                }
                check_blob(probe, b, drain(probe, where, stream), where);
            }
            sg_stream* none = nullptr;
            const uint64_t beyond = l.count(image);
            called(probe, "in layer, beyond the last", [&](sg_error* e) {
                const int32_t rc = l.layer(image, beyond, call, &none, e);
                probe.expect(rc != SG_OK, "gives a layer beyond the last");
                if (rc == SG_OK && none) none->close(none);
                return rc;
            });
            return;
        }
        case SG_BLOB: {
            sg_blob b{};
            sg_stream* stream = nullptr;
            if (called(probe, "in blob", [&](sg_error* e) { return image->blob(image, &b, e); }) != SG_OK)
                return probe.fail("cannot describe its blob");
            if (called(probe, "in fetch", [&](sg_error* e) { return image->fetch(image, 0, call, &stream, e); }) !=
                SG_OK)
                return probe.fail("cannot fetch its blob");
            const Read whole = drain(probe, "in fetch", stream);
            check_blob(probe, b, whole, "in fetch");
            for (const uint64_t offset : {uint64_t{1}, whole.size, UINT64_MAX}) {
                const std::string where = "in fetch from offset " + std::to_string(offset);
                if (called(probe, where, [&](sg_error* e) { return image->fetch(image, offset, call, &stream, e); }) !=
                    SG_OK)
                    continue;
                const Read rest = drain(probe, where, stream);
                if (rest.code == SG_OK && offset <= whole.size)
                    probe.expect(rest.size == whole.size - offset,
                                 "gives " + std::to_string(rest.size) + " bytes " + where);
            }
            return;
        }
        case SG_PATH: {
            struct stat st {};
            probe.expect(stat(image->path, &st) == 0,
                         std::string("gives the path ") + shown(image->path) + ", where nothing is");
            return;
        }
        case SG_RECIPE: {
            const std::string rootfs = directory + "/rootfs";
            std::filesystem::remove_all(rootfs);
            std::filesystem::create_directory(rootfs);
            if (called(probe, "in recipe",
                       [&](sg_error* e) { return image->recipe(image, rootfs.c_str(), call, e); }) == SG_OK)
                probe.expect(!std::filesystem::is_empty(rootfs), "its recipe leaves the directory empty");
            else
                probe.note("its recipe does not work here, so that its work was not checked");
            return;
        }
        default: return;
    }
}

// Opens and reads to the end; quiet: for the leak check.
void open_and_read(Probe& probe, const sg_bootstrap_v1& table, const Spec& spec, bool must, const sg_call* call) {
    sg_image* image = nullptr;
    const int32_t rc = called(probe, "in open of '" + shown(spec.reference) + "'",
                              [&](sg_error* e) { return table.open(&spec.c, call, &image, e); });
    if (must) probe.expect(rc == SG_OK, "cannot open what was given by --with" + probe.why());
    if (rc != SG_OK || !check_shape(probe, image, "in open")) return;
    read_image(probe, image, call, spec.directory);
    probe.step("in close of the image");
    image->close(image);
}

void check_threads(Probe& probe, const sg_bootstrap_v1& table, const Spec& spec) {
    sg_image* image = nullptr;
    if (called(probe, "in open", [&](sg_error* e) { return table.open(&spec.c, nullptr, &image, e); }) != SG_OK)
        probe.skip("it cannot be opened here");
    if (image->kind != SG_LAYERS || image->layers->sequential) {
        image->close(image);
        probe.skip("it has no layers that are read from several threads");
    }
    const sg_layers& l = *image->layers;
    const auto count = static_cast<unsigned>(std::min<uint64_t>(l.count(image), 16));
    probe.step("with 4 threads in each of its layers");
    std::atomic<unsigned> wrong{0}, failed{0};
    in_threads(count * 4, [&](unsigned n) {
        const uint64_t i = n % count;
        sg_blob b{};
        sg_error err;
        sg_stream* stream = nullptr;
        if (l.describe(image, i, &b, &err) != SG_OK || l.layer(image, i, nullptr, &stream, &err) != SG_OK) {
            ++failed;
            return;
        }
        Probe silent(-1);
        const Read r = drain(silent, "", stream);
        if (r.code != SG_OK)
            ++failed;
        else if (b.digest && *b.digest && b.digest != "sha256:" + r.sha256)
            ++wrong;
    });
    probe.expect(failed == 0, "cannot give its layers to several threads at once");
    probe.expect(wrong == 0, "gives wrong bytes when several threads read its layers at once");
    image->close(image);
}

// Pulls with a cancelled call: the end or SG_ECANCELLED must come soon.
void check_cancelled_stream(Probe& probe, sg_stream* stream, sg_call& call, const std::string& where) {
    sg_error err;
    sg_slice s{};
    if (stream->next(stream, &s, &err) == SG_OK && s.size > 0) {
        release(s);
        call.cancel();
        uint64_t more = 0;
        int32_t rc = SG_OK;
        for (unsigned i = 0; i < 64; ++i) {
            s = {};
            ends_when_cancelled(probe, where, 0, [&](const sg_call*) {
                rc = i == 0 || rc == SG_OK ? stream->next(stream, &s, &err) : rc;
            });
            if (rc == SG_OK && s.size == 0) release(s);
            if (rc != SG_OK || s.size == 0) break;
            more += s.size;
            release(s);
        }
        probe.expect(rc != SG_OK || s.size == 0,
                     "goes on after a cancel, for " + std::to_string(more) + " bytes and more, " + where);
        if (rc != SG_OK)
            probe.expect(rc == SG_ECANCELLED,
                         "gives code " + std::to_string(rc) + " instead of SG_ECANCELLED after a cancel " + where);
    } else {
        release(s);
    }
    stream->close(stream);
}

void check_cancel(Probe& probe, const sg_bootstrap_v1& table, const Spec& spec, bool works) {
    const auto open_cancelled = [&](unsigned after) {
        ends_when_cancelled(probe, "in resolve", after, [&](const sg_call* call) {
            sg_identity id{};
            called(probe, "in resolve", [&](sg_error* e) { return table.resolve(&spec.c, call, &id, e); });
        });
        ends_when_cancelled(probe, "in open", after, [&](const sg_call* call) {
            sg_image* image = nullptr;
            if (called(probe, "in open", [&](sg_error* e) { return table.open(&spec.c, call, &image, e); }) == SG_OK &&
                image && image->close)
                image->close(image);
        });
    };
    open_cancelled(0);
    if (!works) return;
    open_cancelled(20);
    sg_call call;
    sg_image* image = nullptr;
    if (called(probe, "in open", [&](sg_error* e) { return table.open(&spec.c, &call, &image, e); }) != SG_OK) return;
    sg_stream* stream = nullptr;
    sg_error err;
    if (image->kind == SG_LAYERS && !image->layers->sequential && image->layers->count(image) > 0 &&
        image->layers->layer(image, 0, &call, &stream, &err) == SG_OK)
        check_cancelled_stream(probe, stream, call, "in a layer's next");
    else if (image->kind == SG_BLOB && image->fetch(image, 0, &call, &stream, &err) == SG_OK)
        check_cancelled_stream(probe, stream, call, "in the blob's next");
    else if (image->kind == SG_RECIPE)
        for (const unsigned after : {0u, 30u})
            ends_when_cancelled(probe, "in recipe", after, [&](const sg_call* c) {
                const std::string rootfs = spec.directory + "/cancelled";
                std::filesystem::remove_all(rootfs);
                std::filesystem::create_directory(rootfs);
                called(probe, "in recipe", [&](sg_error* e) { return image->recipe(image, rootfs.c_str(), c, e); });
            });
    probe.step("in close of the image");
    image->close(image);
}

}  // namespace

void check_bootstrap(Run& run, const Capability& c) {
    const std::string sample = [&] {
        for (const auto& s : run.subject.samples)
            if (run.subject.capabilities.size() == 1 || s.starts_with(c.name + ":")) return s;
        return std::string();
    }();
    run.check(c.title() + ": references that nobody expects", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& table = loaded.need<sg_bootstrap_v1>(probe, c.name, "bootstrap");
        if (!probe.expect(table.resolve && table.open, "a function of its table is NULL")) return;
        sg_call call;
        for (const auto& text : strange_texts())
            for (const sg_call* with : {static_cast<const sg_call*>(nullptr), static_cast<const sg_call*>(&call)}) {
                if (probe.tired()) return;
                const Spec spec(run, c, text);
                const std::string where = " of '" + shown(text) + "'" + (with ? "" : " with a NULL call");
                sg_identity id;
                memset(&id, 0x5a, sizeof id);
                if (called_twice(probe, "in resolve" + where,
                                 [&](sg_error* e) { return table.resolve(&spec.c, with, &id, e); }) == SG_OK)
                    check_identity(probe, id, "in resolve" + where);
                sg_image* image = nullptr;
                const auto close = [&] {
                    if (check_shape(probe, image, "in open" + where)) image->close(image);
                };
                called_twice(
                    probe, "in open" + where, [&](sg_error* e) { return table.open(&spec.c, with, &image, e); }, close);
                call.settle(probe, "in open" + where);
            }
    });
    run.check(c.title() + ": ends when it is cancelled", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& table = loaded.need<sg_bootstrap_v1>(probe, c.name, "bootstrap");
        check_cancel(probe, table, Spec(run, c, sample.empty() ? "x" : sample), !sample.empty());
    });
    run.check(c.title() + ": leaks nothing", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& table = loaded.need<sg_bootstrap_v1>(probe, c.name, "bootstrap");
        const Spec wrong(run, c, "/nowhere/at/all"), empty(run, c, ""), good(run, c, sample);
        leaks_nothing(probe, "resolve and open", [&] {
            for (const Spec* spec : {&wrong, &empty}) {
                sg_identity id;
                sg_image* image = nullptr;
                sg_error err;
                table.resolve(&spec->c, nullptr, &id, &err);
                if (table.open(&spec->c, nullptr, &image, &err) == SG_OK) image->close(image);
            }
        });
        Probe silent(-1);
        if (!sample.empty())
            leaks_nothing(probe, "reading " + shown(sample),
                          [&] { open_and_read(silent, table, good, false, nullptr); });
    });
    for (const auto& [trait, name] :
         {std::pair{"publishes", "publish"}, {"searches", "search"}, {"deletes", "delete"}}) {
        if (!c.has(trait)) continue;
        run.check(c.title() + ": " + name + " with what nobody expects", [&, name = std::string(name)](Probe& probe) {
            const Loaded loaded(probe, run.subject);
            sg_call cancelled;
            cancelled.cancel();
            for (const auto& text : strange_texts()) {
                if (probe.tired()) return;
                const Spec spec(run, c, text);
                const std::string where = "in " + name + " of '" + shown(text) + "'";
                if (name == "publish") {
                    const auto& table = loaded.need<sg_publish_v1>(probe, c.name, "publish");
                    for (const uint64_t capacity : {uint64_t{0}, uint64_t{1}, uint64_t{64}}) {
                        char location[256];
                        memset(location, 0x5a, sizeof location);
                        refused(probe, where, [&](sg_error* e) {
                            return table.publish(&spec.c, "/nowhere/x.sif", &cancelled, location, capacity, e);
                        });
                        probe.expect(location[capacity] == 0x5a, "writes beyond the room for the location " + where);
                    }
                } else if (name == "search") {
                    const auto& table = loaded.need<sg_search_v1>(probe, c.name, "search");
                    called_twice(probe, where, [&](sg_error* e) {
                        return table.search(
                            text.c_str(), spec.none, &cancelled, [](void*, const sg_found*) -> int32_t { return 1; },
                            nullptr, e);
                    });
                } else {
                    refused(probe, where, [&](sg_error* e) {
                        return loaded.need<sg_delete_v1>(probe, c.name, "delete").remove(&spec.c, &cancelled, e);
                    });
                }
            }
        });
    }
    if (sample.empty()) return run.skip(c.title() + ": a real image", "no reference of it was given by --with");
    run.check(c.title() + ": " + shown(sample), [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& table = loaded.need<sg_bootstrap_v1>(probe, c.name, "bootstrap");
        const Spec spec(run, c, sample);
        sg_identity first{}, second{};
        const int32_t rc =
            called(probe, "in resolve", [&](sg_error* e) { return table.resolve(&spec.c, nullptr, &first, e); });
        if (!probe.expect(rc == SG_OK, "cannot resolve what was given by --with" + probe.why())) return;
        check_identity(probe, first, "in resolve");
        if (called(probe, "in resolve", [&](sg_error* e) { return table.resolve(&spec.c, nullptr, &second, e); }) ==
            SG_OK)
            probe.expect(strcmp(first.key, second.key) == 0, "gives another key for the same reference");
        for (const bool watched : {true, false}) {
            sg_call call;
            open_and_read(probe, table, spec, true, watched ? &call : nullptr);
            call.settle(probe, "in open and its streams");
        }
    });
    run.check(c.title() + ": layers from several threads", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        check_threads(probe, loaded.need<sg_bootstrap_v1>(probe, c.name, "bootstrap"), Spec(run, c, sample));
    });
    run.check(c.title() + ": resolve from several threads", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& table = loaded.need<sg_bootstrap_v1>(probe, c.name, "bootstrap");
        const Spec spec(run, c, sample);
        sg_identity first{};
        if (called(probe, "in resolve", [&](sg_error* e) { return table.resolve(&spec.c, nullptr, &first, e); }) !=
            SG_OK)
            probe.skip("it cannot be resolved here");
        probe.step("in resolve, from 8 threads");
        std::atomic<unsigned> differ{0};
        in_threads(8, [&](unsigned) {
            sg_identity id{};
            sg_error own;
            if (table.resolve(&spec.c, nullptr, &id, &own) != SG_OK || strcmp(id.key, first.key) != 0) ++differ;
        });
        probe.expect(differ == 0, "resolves otherwise when several threads ask");
    });
}

}  // namespace conformance
