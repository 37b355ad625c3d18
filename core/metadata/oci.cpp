#include "metadata/oci.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <singularity/text.hpp>

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
constexpr const char* environment_path = ".singularity.d/env/90-environment.sh";
constexpr const char* post_environment_path = ".singularity.d/env/91-environment.sh";
constexpr const char* apps_path = ".singularity.d/env/94-appsbase.sh";
constexpr const char* labels_path = ".singularity.d/labels.json";
constexpr const char* help_path = ".singularity.d/runscript.help";
constexpr const char* runscript_path = ".singularity.d/runscript";
constexpr const char* startscript_path = ".singularity.d/startscript";

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

std::string standard_text(std::string_view path) {
    for (const Script& s : standard_scripts())
        if (s.path == path) return std::string(s.text);
    return {};
}

std::string command_runscript(const ImageConfig& config) {
    ImageConfig only = config;
    only.entrypoint.clear();
    return oci_runscript(only);
}

// A later one replaces an earlier one: what the base has, what %post wrote, what every build records, %labels.
void add_labels(Labels& labels, const BuildFacts& facts) {
    if (facts.sections)
        for (const auto& [name, value] : label_lines(facts.sections->post_labels)) labels[name] = value;
    add_build_labels(labels, facts.header, facts.arch, facts.time, facts.version);
    if (!facts.sections) return;
    if (facts.sections->help) {
        labels["org.label-schema.usage"] = std::string("/") + help_path;
        labels["org.label-schema.usage.singularity.runscript.help"] = std::string("/") + help_path;
    }
    for (const auto& [name, value] : facts.sections->labels) {
        const auto [at, fresh] = labels.emplace(name, value);
        if (fresh || at->second == value) continue;
        if (facts.sections->force_labels)
            at->second = value;
        else
            log::warning("The label " + name + " of %labels is there already and stays as it is (--force replaces it)");
    }
}

}  // namespace

BaseMetadata read_base_metadata(const singularity::ForeignRoot& root) {
    BaseMetadata out;
    std::vector<std::string> problems;
    out.attributes = read_attributes(root, &problems);
    for (const auto& problem : problems)
        log::warning("The labels of the image cannot be read and are lost: " + problem);
    out.environment = read_text_file(root, environment_path);
    out.apps = read_text_file(root, apps_path);
    out.runscript = read_text_file(root, runscript_path).has_value();
    out.startscript = read_text_file(root, startscript_path).has_value();
    return out;
}

// Which of the parts are there, then each with its size in front.
std::string BaseMetadata::packed() const {
    std::string out(
        1, static_cast<char>((environment ? 1 : 0) | (apps ? 2 : 0) | (runscript ? 4 : 0) | (startscript ? 8 : 0)));
    for (const std::string& text : {attributes_json(attributes), environment.value_or(""), apps.value_or("")}) {
        const uint64_t size = text.size();
        out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
    }
    return out;
}

BaseMetadata BaseMetadata::unpacked(std::string_view bytes) {
    const auto take = [&](size_t size) {
        if (size > bytes.size())
            throw Error(Code::corrupt, "what the scripts of the build left in /.singularity.d is damaged");
        const auto part = bytes.substr(0, size);
        bytes.remove_prefix(size);
        return part;
    };
    const char flags = take(1)[0];
    std::string texts[3];
    for (std::string& text : texts) {
        uint64_t size = 0;
        std::memcpy(&size, take(sizeof size).data(), sizeof size);
        text = take(size);
    }
    BaseMetadata out;
    out.attributes = parse_attributes(texts[0]);
    if (flags & 1) out.environment = std::move(texts[1]);
    if (flags & 2) out.apps = std::move(texts[2]);
    out.runscript = flags & 4;
    out.startscript = flags & 8;
    return out;
}

Metadata Metadata::for_image(const BuildFacts& facts) {
    Metadata m;
    m.facts_ = facts;
    m.oci_ = facts.config.has_value();
    m.new_ = true;
    for (const Script& s : standard_scripts()) m.files_.push_back({std::string(s.path), std::string(s.text), 0755});
    std::string runscript(runscript_stub);
    Labels labels;
    if (facts.config) {
        std::vector<std::string> skipped;
        m.files_.push_back({oci_environment_path, oci_environment(*facts.config, &skipped), 0755});
        for (const auto& name : skipped)
            log::verbose("The image's environment has a variable that no shell can hold, it is left out: " + name);
        runscript = facts.command_runs ? command_runscript(*facts.config) : oci_runscript(*facts.config);
        labels.insert(facts.config->labels.begin(), facts.config->labels.end());
    }
    m.files_.push_back({runscript_path, runscript, 0755});
    m.files_.push_back({startscript_path, std::string(startscript_stub), 0755});
    add_labels(labels, facts);
    m.files_.push_back({labels_path, labels_json(labels), 0644});
    m.files_.push_back({definition_path, facts.deffile, 0644});
    if (facts.sections) m.add_sections(*facts.sections, standard_text(environment_path), standard_text(apps_path));

    m.attributes_.labels = std::move(labels);
    for (const File& f : m.files_) {
        const std::string text = without_trailing_newlines(f.text);
        if (f.path == oci_environment_path || f.path == environment_path || f.path == post_environment_path)
            m.attributes_.environment["/" + f.path] = text;
        else if (f.path == runscript_path)
            m.attributes_.runscript = text;
        else if (f.path == startscript_path)
            m.attributes_.startscript = text;
    }
    m.attributes_.deffile = without_trailing_newlines(facts.deffile);
    std::sort(m.files_.begin(), m.files_.end(), [](const File& a, const File& b) { return a.path < b.path; });
    return m;
}

std::vector<SectionFile> Metadata::first_files() {
    std::vector<SectionFile> out;
    for (const Script& s : standard_scripts()) out.push_back({std::string(s.path), std::string(s.text), 0755});
    out.push_back({runscript_path, std::string(runscript_stub), 0755});
    out.push_back({startscript_path, std::string(startscript_stub), 0755});
    return out;
}

std::vector<std::pair<std::string, std::string>> Metadata::first_links() {
    return {std::begin(links), std::end(links)};
}

Metadata Metadata::for_base(const BuildFacts& facts, const BaseMetadata& base) {
    BuildFacts plain = facts;
    plain.config.reset();
    plain.sections.reset();
    Metadata m = for_image(plain);
    m.facts_ = facts;
    m.oci_ = m.new_ = false;
    Attributes old = base.attributes;
    Labels labels = old.labels;
    add_labels(labels, facts);
    for (File& f : m.files_) {
        if (f.path == labels_path)
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
    if (!base.runscript) m.attributes_.runscript = ours.runscript;
    if (!base.startscript) m.attributes_.startscript = ours.startscript;
    if (facts.command_runs && facts.config) {
        File& f = m.file(runscript_path, 0755);
        f.text = command_runscript(*facts.config);
        m.attributes_.runscript = without_trailing_newlines(f.text);
    }
    if (facts.sections)
        m.add_sections(*facts.sections, base.environment.value_or(standard_text(environment_path)),
                       base.apps.value_or(standard_text(apps_path)));
    return m;
}

// The file of that path, which replaces what is there; made when it is not in the list.
Metadata::File& Metadata::file(std::string_view path, uint32_t mode) {
    auto it = std::find_if(files_.begin(), files_.end(), [&](const File& f) { return f.path == path; });
    if (it == files_.end()) it = files_.insert(it, {std::string(path), "", mode});
    it->mode = mode;
    it->replace = true;
    return *it;
}

// `environment` and `apps` are the texts of the two files that grow.
void Metadata::add_sections(const ImageSections& s, const std::string& environment, const std::string& apps) {
    const auto add = [&](const char* path, const std::optional<std::string>& text, uint32_t mode, std::string& shown) {
        if (!text) return;
        file(path, mode).text = *text;
        shown = without_trailing_newlines(*text);
    };
    add(runscript_path, s.runscript, 0755, attributes_.runscript);
    add(startscript_path, s.startscript, 0755, attributes_.startscript);
    add(".singularity.d/test", s.test, 0755, attributes_.test);
    add(help_path, s.help, 0644, attributes_.helpfile);
    if (s.environment)
        add(environment_path, environment + "\n" + *s.environment + "\n", 0755,
            attributes_.environment[std::string("/") + environment_path]);
    if (s.post_environment)
        add(post_environment_path, s.post_environment, 0755,
            attributes_.environment[std::string("/") + post_environment_path]);
    if (s.apps.empty()) return;
    file(apps_path, 0755).text = apps + apps_environment(s.apps);
    for (const AppSections& app : s.apps) {
        AppAttributes& shown = attributes_.apps[app.name];
        for (const std::string& directory : app_directories(app.name)) directories_.push_back(directory);
        for (const SectionFile& f : app_files(app)) file(f.path, f.mode).text = f.text;
        const std::string env = "/scif/apps/" + app.name + "/scif/env/90-environment.sh";
        if (app.environment) shown.environment[env] = without_trailing_newlines(*app.environment);
        shown.labels = {{"SCIF_APP_NAME", app.name}};
        for (const auto& [name, value] : app.labels) shown.labels[name] = value;
        const auto show = [](const std::optional<std::string>& text, std::string& to) {
            if (text) to = without_trailing_newlines(*text);
        };
        show(app.runscript, shown.runscript);
        show(app.startscript, shown.startscript);
        show(app.test, shown.test);
        show(app.help, shown.helpfile);
    }
}

std::vector<Metadata::Part> Metadata::parts() const {
    std::vector<Part> out;
    if (!facts_.deffile.empty()) out.push_back({"deffile", "", facts_.deffile});
    out.push_back({"json", "inspect-metadata.json", attributes_json(attributes_)});
    if (facts_.config)
        out.push_back({"json", "oci-config.json", facts_.config->config});
    else if (!facts_.kept_config.empty())
        out.push_back({"json", "oci-config.json", facts_.kept_config});
    return out;
}

void Metadata::put(Tree& tree, ImageWriter& writer, const File& file) const {
    if (!file.replace && find_file(tree, file.path)) return;
    uint64_t content = SG_NO_CONTENT;
    if (!file.text.empty()) {
        singularity::TextStream text(file.text);
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
    if (!old || facts_.base_is_new) return;
    const std::string name = "Singularity" + std::to_string(tree.names(history_path).size());
    tree.put_directory(history_path, 0755, time());
    tree.put_file(std::string(history_path) + "/" + name, 0644, time(), old->size, old->content);
}

void Metadata::apply(Tree& tree, ImageWriter& writer, const sg_call* call) const {
    if (call) call->cancel.poll();
    tree.inode(tree.file(Tree::root)).mode |= S_IWUSR;
    for (const char* directory : directories) tree.put_directory(directory, 0755, time());
    for (const std::string& directory : directories_) tree.put_directory(directory, 0755, time());
    keep_history(tree);
    for (const File& file : files_) put(tree, writer, file);
    for (const char* path : {"etc/hosts", "etc/resolv.conf"}) {
        if (oci_)
            put_empty(tree, path);
        else if (new_ && !tree.find(path))
            tree.put_file(path, 0644, time(), 0, SG_NO_CONTENT);
    }
    for (const auto& [name, target] : links) {
        const auto there = tree.find(name);
        if (there && (!is_type(there, S_IFLNK) || tree.link_target(name) == target)) continue;
        tree.put_symlink(name, target, time());
    }
}

}  // namespace sg
