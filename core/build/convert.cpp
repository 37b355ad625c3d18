#include "build/convert.hpp"

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstdio>
#include <thread>

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/announce_file.hpp"
#include "build/identity.hpp"
#include "build/space.hpp"
#include "build/target.hpp"
#include "config/settings.hpp"
#include "image/config.hpp"
#include "image/oci_manifest.hpp"
#include "lookup/announce.hpp"
#include "lookup/cache_places.hpp"
#include "lookup/image_lookup.hpp"
#include "lookup/source_uri.hpp"
#include "metadata/inspect.hpp"
#include "metadata/oci.hpp"
#include "rootfs/copy.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"
#include "runtime/image_policy.hpp"
#include "store/layout_index.hpp"
#include "store/output.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {

struct Making {
    PluginHost& plugins;
    const SourceRequest& request;
    const FormatEntry& format;
    const ConvertOptions& options;
    const sg_call* call;
};

ImageWriter open_writer(const Making& m, const Target& target, const std::string& identity, const std::string& arch,
                        std::optional<int64_t> time) {
    ImageWriter writer = open_writer(m.format, m.options, target, {identity, arch, time}, m.call);
    writer.use_layers(layers_of(m.plugins, m.format));
    return writer;
}

BuildFacts facts_of(const Making& m) {
    BuildFacts facts;
    const std::string from = without_secret(m.request.reference);
    facts.header = {{"bootstrap", m.request.scheme}, {"from", from}};
    facts.deffile = "bootstrap: " + m.request.scheme + "\nfrom: " + from + "\n\n";
    facts.version = m.options.version;
    return facts;
}

// The image joins the cache's OCI layout, now that its layers are there.
void keep_image(const Making& m, const Layers& layers, const ImageConfig& config) {
    if (layers.manifest.empty()) return;
    BlobStore& store = *m.options.blobs;
    const auto digest_of = [](const std::string& text) {
        return Digest::parse("sha256:" + sha256_hex(text), "a hash");
    };
    const std::string manifest = as_oci_manifest(layers.manifest);
    const Digest digest = digest_of(manifest);
    store.keep(layers.config, digest_of(layers.config));
    store.keep(manifest, digest);
    LayoutIndex(store.root())
        .add({sha256_hex(layers.manifest), digest.text(), manifest.size(), config.architecture, config.os,
              config.variant});
}

void finish_fetch(const Making& m, LayerFetch& fetch, const Layers& layers, const ImageConfig& config) {
    fetch.finish();
    if (fetch.fetched_count() > 0) {
        char size[32];
        std::snprintf(size, sizeof size, "%.2f MiB", static_cast<double>(fetch.fetched_bytes()) / (1 << 20));
        log::info("Fetched " + std::to_string(fetch.fetched_count()) + " of " + std::to_string(layers.inputs.size()) +
                  " layers, " + size);
    }
    const auto in_cache = [&](const LayerInput& layer) {
        const auto known = Digest::try_parse(layer.digest);
        return !layer.stored || (known && m.options.blobs->holds(*known));
    };
    if (!fetch.kept() || !std::all_of(layers.inputs.begin(), layers.inputs.end(), in_cache)) return;
    try {
        keep_image(m, layers, config);
    } catch (const Error& e) {
        // The image itself is whole; what the cache lacks is fetched the next time.
        if (e.code() == Code::cancelled) throw;
        log::warning("the image is not listed in the cache: " + e.message());
    }
}

void write_layers(const Making& m, OpenedSource& source, Target& target, Segments& segments) {
    log::plain("Getting image source signatures");
    const FetchPlan plan{m.options.blobs, m.options.keep_blobs, m.options.temporary, m.options.jobs};
    const auto capability = m.plugins.index().find(CapabilityKind::bootstrap, m.request.scheme);
    BuildFacts facts = facts_of(m);
    std::string digest;
    std::optional<ImageWriter> writer;
    // Which layers need not be fetched is known when the image's writer is.
    const auto described = [&](Layers& layers) {
        facts.config = parse_image_config(layers.config);
        facts.arch = facts.config->architecture.empty() ? m.request.arch : facts.config->architecture;
        facts.time = result_time(facts.config->created);
        digest = sha256_hex(layers.manifest.empty() ? layers.config : layers.manifest);
        expect_space_for_image(target.name(), m.format, layers.inputs);
        writer.emplace(open_writer(m, target, digest, facts.arch, facts.time));
        add_parts(Metadata::for_image(facts), m.format, *writer);
        segments.prepare(layers.inputs, *writer);
    };
    Layers layers = source.layers(plan, capability && capability->remote, described);
    const Metadata metadata = Metadata::for_image(facts);
    MergeOptions options;
    options.threads = m.options.threads;
    Tree tree = merge_layers(layers.inputs, *writer, m.options.limits, options, m.call);
    if (source.fetch()) {
        finish_fetch(m, *source.fetch(), layers, *facts.config);
        announce(m.plugins, "fetched", m.request, layers.manifest.empty() ? std::string() : "sha256:" + digest);
    }
    log::plain("Copying config sha256:" + sha256_hex(layers.config));
    log::plain("Writing manifest to image destination");
    log::plain("Storing signatures");
    say_creating(m.format);
    metadata.apply(tree, *writer, m.call);
    writer->finish(tree);
    segments.check_images();
}

// A root file system that another image or directory holds.
void write_copy(const Making& m, const std::string& path, Target& target) {
    OpenedImage image = m.plugins.open_image(path);
    const sg_image_info info = image.info();
    const singularity::ForeignRoot root = image.root();
    BuildFacts facts = facts_of(m);
    facts.arch = *info.arch ? info.arch : m.request.arch;
    facts.time = result_time("");
    facts.kept_config = read_part(image, "json", "oci-config.json", m.call).value_or("");
    const Metadata metadata = Metadata::for_base(facts, read_base_metadata(root));
    expect_space_for_image(target.name(), m.format, image, root);
    ImageWriter writer = open_writer(m, target, identity_of(path), facts.arch, facts.time);
    say_creating(m.format);
    add_parts(metadata, m.format, writer);
    Tree tree = copy_root(root, writer, m.options.limits, m.call);
    metadata.apply(tree, writer, m.call);
    writer.finish(tree);
}

// The image file that the cache has of what the request means now.
std::optional<std::string> cached_file(const Making& m) {
    try {
        ImageLookup lookup(m.plugins, m.request, m.request.reference);
        return lookup.find(resolve_source(m.plugins.bootstrap(m.request.scheme), m.request, m.call));
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        log::verbose("the cache is not asked: " + e.message());
        return std::nullopt;
    }
}

// One file that a source gives: an image in any format.
void write_blob(const Making& m, OpenedSource& source, const std::string& key, const std::string& target_path,
                Target& target) {
    const auto write = [&](const std::string& path) {
        announce_file(m.plugins, m.request, key, target_path, path, m.call);
        runtime::permit_image(m.plugins, {path, without_secret(m.request.scheme + ":" + m.request.reference), false},
                              m.call);
        write_copy(m, path, target);
    };
    if (const auto cached = cached_file(m)) {
        log::info("Using cached image");
        return write(*cached);
    }
    Spool spool(m.options.temporary);
    const auto stream = source.blob();
    spool.add(*stream);
    write("/proc/self/fd/" + std::to_string(spool.fd()));
}

void write_empty(const Making& m, Target& target) {
    BuildFacts facts = facts_of(m);
    facts.arch = m.request.arch;
    facts.time = result_time("");
    const Metadata metadata = Metadata::for_image(facts);
    ImageWriter writer = open_writer(m, target, "empty", facts.arch, facts.time);
    say_creating(m.format);
    add_parts(metadata, m.format, writer);
    Tree tree;
    metadata.apply(tree, writer, m.call);
    writer.finish(tree);
}

// Whether the cache's file system was full, and the image is made elsewhere: then it needs no room there.
bool only_cache_is_full(const Error& e, const ConvertOptions& options, const Target& target) {
    const std::string& root = options.segments.own;
    return e.code() == Code::no_space && !root.empty() && e.message().find(root + "/") != std::string::npos && !target.name().starts_with(root + "/");
}

// Damage shows first as data that makes no sense; only then the cached blobs are looked through.
void write_layers_of_good_blobs(const Making& making, OpenedSource& source, Target& target, Segments& segments) {
    constexpr int most_attempts = 3;
    ConvertOptions options = making.options;
    const Making m{making.plugins, making.request, making.format, options, making.call};
    for (int attempt = 1;; ++attempt) {
        try {
            return write_layers(m, source, target, segments);
        } catch (const Error& e) {
            const bool by_data = e.code() == Code::corrupt || e.code() == Code::invalid || e.code() == Code::limit ||
                                 e.code() == Code::unsupported || e.code() == Code::not_found;
            if (attempt == most_attempts || source.once()) throw;
            const bool has_room_now = e.code() == Code::no_space && segments.stop_making();
            const bool no_room_for_blobs = options.keep_blobs && only_cache_is_full(e, options, target);
            if (no_room_for_blobs) {
                log::warning("the file system of the cache " + options.segments.own + " is full: the layers are not kept there. " + cache_is_full_hint);
                options.keep_blobs = false;
            }
            const bool segments_went = by_data && segments.discard();
            const bool blobs_went = by_data && source.fetch() && source.fetch()->discard_damaged();
            if (!has_room_now && !no_room_for_blobs && !segments_went && !blobs_went) throw;
            target.restart();
        }
    }
}

// The digest of a layered image, where it is known before all of it has been read.
std::string key_of(OpenedSource& source) {
    if (source.kind() != SG_LAYERS || source.manifest().empty()) return {};
    return "sha256:" + sha256_hex(source.manifest());
}

}  // namespace

void convert(PluginHost& plugins, const SourceRequest& request, const std::string& target_path,
             const FormatEntry& format, const ConvertOptions& options, const sg_call* call) {
    OpenedSource source(plugins.bootstrap(request.scheme), request, call);
    announce(plugins, "resolved", request, key_of(source));
    convert(plugins, source, request, target_path, format, options, call);
}

void convert(PluginHost& plugins, OpenedSource& source, const SourceRequest& request, const std::string& target_path,
             const FormatEntry& format, const ConvertOptions& options, const sg_call* call) {
    const Making m{plugins, request, format, options, call};
    log::info("Starting build...");
    const std::string key = key_of(source);
    announce(plugins, "before_build", request, key, target_path);
    Target target(target_path, format.directory);
    Segments segments(options.segments);
    switch (source.kind()) {
        case SG_LAYERS: write_layers_of_good_blobs(m, source, target, segments); break;
        case SG_PATH:
            runtime::permit_image(plugins, {source.path()}, call);
            write_copy(m, source.path(), target);
            break;
        case SG_BLOB: write_blob(m, source, key, target_path, target); break;
        case SG_RECIPE: {
            OutputDirectory rootfs(options.temporary + "/rootfs");
            source.fill(rootfs.path());
            write_copy(m, rootfs.path(), target);
            break;
        }
        case SG_EMPTY: write_empty(m, target); break;
    }
    if (call) call->cancel.poll();
    target.commit();
    segments.keep(target_path);
    announce_built(plugins, told_reference(request), told_digest(key), target_path, call);
}

namespace {

// Null when there is nothing to use.
std::shared_ptr<BlobStore> blob_store(const CachePlaces& places) {
    std::vector<std::string> lower;
    for (const auto& root : {places.shared, places.foreign})
        if (!root.empty()) lower.push_back(root);
    if (places.own.empty() && lower.empty()) return nullptr;
    return std::make_shared<BlobStore>(places.own, lower);
}

}  // namespace

ConvertOptions convert_options(const Settings& settings) {
    const auto limit = [&](const char* key) { return static_cast<uint64_t>(settings.integer(key)); };
    ConvertOptions o;
    o.compress = settings.text("build.compress");
    o.threads = static_cast<unsigned>(settings.integer("build.threads"));
    if (o.threads == 0) o.threads = std::max(1u, std::thread::hardware_concurrency());
    o.limits.entries = limit("limits.entries");
    o.limits.file_size = limit("limits.file_size");
    o.limits.image_size = limit("limits.image_size");
    o.limits.xattr_bytes = limit("limits.xattr_bytes");
    o.limits.path_length = limit("limits.path_length");
    o.temporary = settings.text("tmpdir");
    if (o.temporary.empty()) o.temporary = "/tmp";
    const CachePlaces places = cache_places(settings);
    o.blobs = blob_store(places);
    o.segments = {settings.boolean("cache.segments"), places.own, places.shared};
    o.keep_blobs = settings.boolean("cache.keep_blobs");
    o.jobs = static_cast<unsigned>(std::clamp<int64_t>(settings.integer("fetch.jobs"), 1, 64));
    o.version = SG_VERSION;
    return o;
}

}  // namespace sg
