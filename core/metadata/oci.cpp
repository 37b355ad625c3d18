#include "metadata/oci.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/call.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "metadata/image_files.hpp"
#include "metadata/oci_scripts.hpp"
#include "metadata/scripts.hpp"

namespace sg {

namespace {

constexpr const char* definition_path = ".singularity.d/Singularity";
constexpr const char* history_path = ".singularity.d/bootstrap_history";
constexpr const char* oci_environment_path = ".singularity.d/env/10-docker2singularity.sh";

constexpr const char* directories[] = {".singularity.d",
                                       ".singularity.d/libs",
                                       ".singularity.d/actions",
                                       ".singularity.d/env",
                                       "dev",
                                       "proc",
                                       "root",
                                       "var/tmp",
                                       "tmp",
                                       "etc",
                                       "sys",
                                       "home"};

constexpr std::pair<const char*, const char*> links[] = {
    {"singularity", ".singularity.d/runscript"}, {".run", ".singularity.d/actions/run"},
    {".exec", ".singularity.d/actions/exec"},    {".test", ".singularity.d/actions/test"},
    {".shell", ".singularity.d/actions/shell"},  {"environment", ".singularity.d/env/90-environment.sh"}};

bool is_type(const std::optional<sg_attr>& attr, uint32_t type) { return attr && (attr->mode & S_IFMT) == type; }

// The regular file that `path` leads to; nothing when it leads elsewhere, nowhere or in a circle.
std::optional<sg_attr> find_file(const Tree& tree, std::string_view path) {
    try {
        const auto attr = tree.find_following(path);
        return is_type(attr, S_IFREG) ? attr : std::nullopt;
    } catch (const Error& e) {
        if (e.code() != Code::corrupt) throw;
        return std::nullopt;
    }
}

class TextStream final : public singularity::Stream {
public:
    explicit TextStream(std::string_view text) : text_(text) {}
    singularity::Slice next() override {
        const std::string_view all = std::exchange(text_, {});
        return singularity::Slice::borrowed(all.data(), all.size());
    }

private:
    std::string_view text_;
};

}  // namespace

Metadata Metadata::for_image(const BuildFacts& facts) {
    Metadata m;
    m.facts_ = facts;
    m.oci_ = facts.config.has_value();
    for (const Script& s : standard_scripts()) m.files_.push_back({std::string(s.path), std::string(s.text), 0755});
    std::string runscript(runscript_stub);
    Labels labels;
    if (facts.config) {
        std::vector<std::string> skipped;
        m.files_.push_back({oci_environment_path, oci_environment(*facts.config, &skipped), 0755});
        for (const auto& name : skipped)
            log::verbose("The image's environment has a variable that no shell can hold, it is left out: " + name);
        runscript = oci_runscript(*facts.config);
        labels.insert(facts.config->labels.begin(), facts.config->labels.end());
    }
    m.files_.push_back({".singularity.d/runscript", runscript, 0755});
    m.files_.push_back({".singularity.d/startscript", std::string(startscript_stub), 0755});
    add_build_labels(labels, facts.header, facts.arch, facts.time, facts.version);
    m.files_.push_back({".singularity.d/labels.json", labels_json(labels), 0644});
    m.files_.push_back({definition_path, facts.deffile, 0644});

    m.attributes_.labels = std::move(labels);
    for (const File& f : m.files_) {
        const std::string text = without_trailing_newlines(f.text);
        if (f.path == oci_environment_path || f.path == ".singularity.d/env/90-environment.sh")
            m.attributes_.environment["/" + f.path] = text;
        else if (f.path == ".singularity.d/runscript")
            m.attributes_.runscript = text;
        else if (f.path == ".singularity.d/startscript")
            m.attributes_.startscript = text;
    }
    m.attributes_.deffile = without_trailing_newlines(facts.deffile);
    std::sort(m.files_.begin(), m.files_.end(), [](const File& a, const File& b) { return a.path < b.path; });
    return m;
}

Metadata Metadata::for_base(const BuildFacts& facts, const singularity::ForeignRoot& base) {
    BuildFacts plain = facts;
    plain.config.reset();
    Metadata m = for_image(plain);
    std::vector<std::string> problems;
    Attributes old = read_attributes(base, &problems);
    for (const auto& problem : problems)
        log::warning("The base image's labels cannot be read and are lost: " + problem);

    Labels labels = old.labels;
    add_build_labels(labels, facts.header, facts.arch, facts.time, facts.version);
    for (File& f : m.files_) {
        if (f.path == ".singularity.d/labels.json")
            f.text = labels_json(labels);
        else if (f.path != definition_path)
            f.replace = false;
    }
    // What the image will show: its own where it has them, ours for the rest.
    const Attributes ours = std::move(m.attributes_);
    m.attributes_ = std::move(old);
    m.attributes_.labels = std::move(labels);
    m.attributes_.deffile = ours.deffile;
    m.attributes_.environment.insert(ours.environment.begin(), ours.environment.end());
    m.attributes_.environment.erase("/environment");
    const auto kept = [&](const char* path) { return read_text_file(base, path).has_value(); };
    if (!kept(".singularity.d/runscript")) m.attributes_.runscript = ours.runscript;
    if (!kept(".singularity.d/startscript")) m.attributes_.startscript = ours.startscript;
    return m;
}

std::vector<Metadata::Part> Metadata::parts() const {
    std::vector<Part> out;
    if (!facts_.deffile.empty()) out.push_back({"deffile", "", facts_.deffile});
    out.push_back({"json", "inspect-metadata.json", attributes_json(attributes_)});
    if (facts_.config) out.push_back({"json", "oci-config.json", facts_.config->config});
    return out;
}

void Metadata::put(Tree& tree, ImageWriter& writer, const File& file) const {
    if (!file.replace && find_file(tree, file.path)) return;
    uint64_t content = SG_NO_CONTENT;
    if (!file.text.empty()) {
        TextStream text(file.text);
        content = writer.content(file.path, file.text.size(), text);
    }
    tree.put_file(file.path, file.mode, time(), file.text.size(), content);
}

// An empty file that a file of the host can be bound over. Where a link leads to a file, that file is emptied; a link
// that leads nowhere gives way.
void Metadata::put_empty(Tree& tree, std::string path) const {
    if (is_type(tree.find(path), S_IFLNK) && find_file(tree, path))
        for (int i = 0; i < 40 && is_type(tree.find(path), S_IFLNK); ++i) {
            const std::string target = tree.link_target(path).value_or("");
            path = !target.empty() && target[0] == '/' ? target : path.substr(0, path.rfind('/') + 1) + target;
        }
    if (is_type(tree.find(path), S_IFDIR)) return;
    tree.put_file(path, 0644, time(), 0, SG_NO_CONTENT);
}

void Metadata::keep_history(Tree& tree) const {
    const auto old = find_file(tree, definition_path);
    if (!old) return;
    const std::string name = "Singularity" + std::to_string(tree.names(history_path).size());
    tree.put_directory(history_path, 0755, time());
    tree.put_file(std::string(history_path) + "/" + name, 0644, time(), old->size, old->content);
}

void Metadata::apply(Tree& tree, ImageWriter& writer, const sg_call* call) const {
    if (call) call->cancel.poll();
    tree.inode(tree.file(Tree::root)).mode |= S_IWUSR;
    for (const char* directory : directories) tree.put_directory(directory, 0755, time());
    keep_history(tree);
    for (const File& file : files_) put(tree, writer, file);
    if (oci_) {
        put_empty(tree, "etc/hosts");
        put_empty(tree, "etc/resolv.conf");
    }
    for (const auto& [name, target] : links) {
        const auto there = tree.find(name);
        if (there && (!is_type(there, S_IFLNK) || tree.link_target(name) == target)) continue;
        tree.put_symlink(name, target, time());
    }
}

}  // namespace sg
