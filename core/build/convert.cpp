#include "build/convert.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <climits>
#include <thread>

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/identity.hpp"
#include "config/settings.hpp"
#include "image/config.hpp"
#include "metadata/oci.hpp"
#include "rootfs/copy.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"
#include "store/output.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {

// The file or directory that is being written, whichever the format makes.
class Target {
public:
    Target(const std::string& path, bool directory) {
        if (directory)
            directory_ = std::make_unique<OutputDirectory>(path);
        else
            file_ = std::make_unique<OutputFile>(path);
    }
    int fd() const { return file_ ? file_->fd() : -1; }
    std::string path() const { return file_ ? file_->target() : directory_->path(); }
    void commit() { file_ ? file_->commit() : directory_->commit(); }

private:
    std::unique_ptr<OutputFile> file_;
    std::unique_ptr<OutputDirectory> directory_;
};

struct Making {
    PluginHost& plugins;
    const SourceRequest& request;
    const FormatEntry& format;
    const ConvertOptions& options;
    const sg_call* call;
};

void say_creating(const FormatEntry& format) {
    log::info("Creating " + shown_name(format) + (format.directory ? " directory..." : " file..."));
}

// `identity` names the content: with equal options, equal text gives an equal UUID.
ImageWriter open_writer(const Making& m, const Target& target, const std::string& identity, const std::string& arch,
                        std::optional<int64_t> time) {
    std::vector<sg_pair> pairs;
    for (const auto& [k, v] : m.options.format_options) pairs.push_back({k.c_str(), v.c_str()});
    pairs.push_back({nullptr, nullptr});
    const std::string path = target.path();
    sg_create what{};
    what.fd = target.fd();
    what.path = path.c_str();
    what.arch = arch.c_str();
    what.compress = m.options.compress.c_str();
    what.time = time.value_or(INT64_MIN);
    what.options = pairs.data();
    std::string name = identity + "\n" + m.format.name + "\n" + m.options.compress + "\n" + arch;
    for (const auto& [k, v] : m.options.format_options) name += "\n" + k + "=" + v;
    const auto uuid = uuid_of(name);
    std::copy(uuid.begin(), uuid.end(), what.uuid);
    return ImageWriter::create(*m.format.table, what, m.call);
}

BuildFacts facts_of(const Making& m) {
    BuildFacts facts;
    facts.header = {{"bootstrap", m.request.scheme}, {"from", m.request.reference}};
    facts.deffile = "bootstrap: " + m.request.scheme + "\nfrom: " + m.request.reference + "\n\n";
    facts.version = m.options.version;
    return facts;
}

void add_parts(const Metadata& metadata, const FormatEntry& format, ImageWriter& writer) {
    if (!format.parts) return;
    for (const auto& part : metadata.parts()) writer.part(part.type, part.name, part.bytes);
}

void write_layers(const Making& m, OpenedSource& source, Target& target) {
    log::plain("Getting image source signatures");
    Layers layers = source.layers(m.options.temporary);
    BuildFacts facts = facts_of(m);
    facts.config = parse_image_config(layers.config);
    facts.arch = facts.config->architecture.empty() ? m.request.arch : facts.config->architecture;
    facts.time = result_time(facts.config->created);
    const Metadata metadata = Metadata::for_image(facts);
    const std::string digest = sha256_hex(layers.manifest.empty() ? layers.config : layers.manifest);
    ImageWriter writer = open_writer(m, target, digest, facts.arch, facts.time);
    add_parts(metadata, m.format, writer);
    MergeOptions options;
    options.threads = m.options.threads;
    Tree tree = merge_layers(layers.inputs, writer, m.options.limits, options, m.call);
    log::plain("Copying config sha256:" + sha256_hex(layers.config));
    log::plain("Writing manifest to image destination");
    log::plain("Storing signatures");
    say_creating(m.format);
    metadata.apply(tree, writer, m.call);
    writer.finish(tree);
}

// A root file system that another image or directory holds.
void write_copy(const Making& m, const std::string& path, Target& target) {
    OpenedImage image = m.plugins.open_image(path);
    const sg_image_info info = image.info();
    const singularity::ForeignRoot root = image.root();
    BuildFacts facts = facts_of(m);
    facts.arch = *info.arch ? info.arch : m.request.arch;
    facts.time = result_time("");
    const Metadata metadata = Metadata::for_base(facts, root);
    struct stat st{};
    stat(path.c_str(), &st);
    ImageWriter writer = open_writer(m, target, "path " + path + " " + std::to_string(st.st_size), facts.arch, facts.time);
    say_creating(m.format);
    add_parts(metadata, m.format, writer);
    Tree tree = copy_root(root, writer, m.options.limits, m.call);
    metadata.apply(tree, writer, m.call);
    writer.finish(tree);
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

void notify(PluginHost& plugins, const char* name, const SourceRequest& request, const std::string& path) {
    const std::string reference = request.scheme + ":" + request.reference;
    const sg_event event{name, reference.c_str(), "", path.c_str(), nullptr, 0};
    plugins.notify(event);
}

}  // namespace

std::string shown_name(const FormatEntry& format) {
    std::string name = format.name;
    if (!format.directory)
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

void convert(PluginHost& plugins, const SourceRequest& request, const std::string& target_path, const FormatEntry& format,
             const ConvertOptions& options, const sg_call* call) {
    const Making m{plugins, request, format, options, call};
    log::info("Starting build...");
    notify(plugins, "before_build", request, target_path);
    OpenedSource source(plugins.bootstrap(request.scheme), request, call);
    Target target(target_path, format.directory);
    switch (source.kind()) {
        case SG_LAYERS: write_layers(m, source, target); break;
        case SG_PATH: write_copy(m, source.path(), target); break;
        case SG_BLOB: {
            Spool spool(options.temporary);
            const auto stream = source.blob();
            spool.add(*stream);
            write_copy(m, "/proc/self/fd/" + std::to_string(spool.fd()), target);
            break;
        }
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
    notify(plugins, "built", request, target_path);
}

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
    o.version = SG_VERSION;
    return o;
}

}  // namespace sg
