#include "plugin/host.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "base/log.hpp"
#include "base/nearest.hpp"
#include "base/unique_fd.hpp"
#include "plugin/loader.hpp"
#include "plugin/services.hpp"

namespace sg {

namespace {

constexpr size_t head_size = 4096;

std::string absolute(const std::string& path) {
    if (path.empty()) throw Error(Code::usage, "the name of the image is empty");
    char buffer[PATH_MAX];
    // An open descriptor may lead to a file that has no name (any more).
    if (path.starts_with("/proc/self/fd/") && access(path.c_str(), R_OK) == 0) return path;
    if (realpath(path.c_str(), buffer)) return buffer;
    const Error failure = system_error(errno, "cannot open", path);
    if (failure.code() != Code::not_found || path.find('/') != std::string::npos) throw failure;
    for (const char* ending : {".sif", ".img", ".simg", ".sqfs", ".squashfs", ".ext3"})
        if (path.ends_with(ending)) throw failure;  // a file was meant
    if (path.starts_with("instance:")) throw Error(failure.code(), failure.message(), "An instance is named 'instance://NAME'.");
    // Other engines take a bare name for an image of a registry.
    throw Error(failure.code(), failure.message(), "An image that is not in this directory is named with its scheme: SCHEME://" + path + " ('singularity help' lists the schemes).");
}

std::vector<uint8_t> head_of(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) throw_errno("cannot open", path);
    std::vector<uint8_t> head(head_size);
    size_t got = 0;
    while (got < head.size()) {
        const ssize_t n = pread(fd.get(), head.data() + got, head.size() - got, static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path);
        if (n == 0) break;
        got += static_cast<size_t>(n);
    }
    head.resize(got);
    return head;
}

bool has_magic(const CapabilityView& format, const std::vector<uint8_t>& head) {
    return std::any_of(format.magics.begin(), format.magics.end(), [&](const MagicView& m) {
        return m.offset <= head.size() && m.bytes.size() <= head.size() - m.offset &&
               std::memcmp(head.data() + m.offset, m.bytes.data(), m.bytes.size()) == 0;
    });
}

std::string joined(const std::vector<std::string_view>& names) {
    std::string out;
    for (const auto n : names) out.append(out.empty() ? "" : ", ").append(n);
    return out.empty() ? "none" : out;
}

}  // namespace

struct PluginHost::Impl {
    const Settings& settings;
    const Index& index;
    Services services;
    std::recursive_mutex mutex;  // a plugin's start may ask for services that load another one
    std::map<uint32_t, std::unique_ptr<LoadedPlugin>> loaded;

    Impl(PluginHost& host, const Settings& s, const Index& i, const sg_host_mount_v2* mount, Services::FindCredentials credentials, Services::FindDefinitions definitions)
        : settings(s),
          index(i),
          services(
              s, mount,
              [&host](std::string_view scheme, std::string_view below, const char* table, uint32_t version) {
                  return host.transport_table(scheme, below, table, version);
              },
              [&host](const char* path, bool writable, const sg_format_v1** format, const sg_parts_v1** parts, sg_image_file** image) {
                  const FormatEntry entry = host.impl_->open(path, writable, image);
                  *format = entry.table;
                  if (parts) *parts = entry.parts;
              },
              std::move(credentials), std::move(definitions)) {}

    LoadedPlugin& load(uint32_t number) {
        const std::lock_guard lock(mutex);
        auto& slot = loaded[number];
        if (!slot) {
            const PluginView p = index.plugin(number);
            log::debug("loading plugin " + std::string(p.name) + " from " + std::string(p.object));
            slot = std::make_unique<LoadedPlugin>(p, Services::c());
        }
        return *slot;
    }

    // What the index knows of `name`, or the error that says what there is.
    CapabilityView need(CapabilityKind kind, std::string_view name) {
        if (auto c = index.find(kind, name)) return *c;
        throw unknown(kind, name);
    }

    template <class Table>
    const Table& table(CapabilityKind kind, std::string_view name) {
        const CapabilityView c = need(kind, name);
        return *static_cast<const Table*>(load(c.plugin).need(c.name, kind_name(kind), c.line));
    }

    template <class Table>
    const Table* optional_table(std::string_view scheme, const char* table, bool CapabilityView::*declared) {
        const CapabilityView c = need(CapabilityKind::bootstrap, scheme);
        if (!(c.*declared)) return nullptr;
        return static_cast<const Table*>(load(c.plugin).need(c.name, table, c.line));
    }

    Error unknown(CapabilityKind kind, std::string_view name) const {
        const bool source = kind == CapabilityKind::bootstrap;
        const std::string what = source ? "scheme" : kind == CapabilityKind::transport ? "transport for" : kind_name(kind);
        std::string message = "unknown " + what + " '" + std::string(name) + "'";
        // A plugin that is registered but not active has it: say why it is not.
        for (uint32_t i = 0; i < index.plugin_count(); ++i) {
            const PluginView p = index.plugin(i);
            if (p.active) continue;
            for (const auto& c : index.capabilities_of(i))
                if (c.kind == kind && c.name == name) {
                    message += ": plugin " + std::string(p.name) + " is not active (" + std::string(p.why) + ")";
                    std::string hint(source ? index.absent(name) : std::string_view());
                    if (hint.empty() && p.why.starts_with("disabled in "))
                        hint = "Run: singularity plugin enable " + std::string(p.name);
                    return Error(Code::not_found, message, hint);
                }
        }
        if (source)
            if (const auto told = index.absent(name); !told.empty()) return Error(Code::not_found, message, std::string(told));
        std::vector<std::string_view> names;
        for (const auto& c : index.capabilities(kind)) names.push_back(c.name);
        std::string hint = did_you_mean(name, names);
        if (!hint.empty()) hint += " ";
        hint += "Registered: " + joined(names) + ".";
        if (source && hint.starts_with("Registered")) hint += " A plugin may add it: see 'singularity help plugin'.";
        return Error(Code::not_found, message, hint);
    }

    FormatEntry format_entry(const CapabilityView& c) {
        LoadedPlugin& p = load(c.plugin);
        FormatEntry f;
        f.name = c.name;
        f.directory = c.directory;
        f.table = static_cast<const sg_format_v1*>(p.need(c.name, "format", c.line));
        f.parts = static_cast<const sg_parts_v1*>(p.find(c.name, "parts"));
        f.part_roots = static_cast<const sg_part_roots_v1*>(p.find(c.name, "part_roots"));
        return f;
    }

    struct Choice {
        FormatEntry entry;
        int score = 0;
    };

    static void probe(Choice& best, FormatEntry entry, const std::string& path, bool directory, const std::vector<uint8_t>& head) {
        const int score = entry.table->probe(path.c_str(), directory ? 1 : 0, head.data(), head.size());
        if (score > best.score) best = {std::move(entry), score};
    }

    // `path` is absolute.
    FormatEntry choose(const std::string& path) {
        struct stat st {};
        if (stat(path.c_str(), &st) != 0) throw_errno("cannot open", path);
        const bool directory = S_ISDIR(st.st_mode);
        if (!directory && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) throw Error(Code::invalid, path + " is neither a file nor a directory");
        const std::vector<uint8_t> head = directory ? std::vector<uint8_t>() : head_of(path);
        const auto formats = index.capabilities(CapabilityKind::format);
        Choice best;
        // First who says so in the manifest: usually one object is loaded.
        const auto likely = [&](const CapabilityView& c) { return directory ? c.directory : !c.directory && has_magic(c, head); };
        for (const auto& c : formats)
            if (likely(c)) probe(best, format_entry(c), path, directory, head);
        if (best.score > 0) return best.entry;
        std::vector<std::string_view> names;
        for (const auto& c : formats) {
            names.push_back(c.name);
            if (likely(c)) continue;
            try {
                probe(best, format_entry(c), path, directory, head);
            } catch (const Error& e) {
                // Not the one that was asked for: the others may still know the file.
                log::warning(e.message());
            }
        }
        if (best.score > 0) return best.entry;
        if (head.empty() && !directory) throw Error(Code::invalid, path + " is empty: no image");
        throw Error(Code::invalid, path + " is no image that any registered format knows", "Formats: " + joined(names) + ". An archive or a layout is named with its scheme: SCHEME:" + path + " ('singularity help' lists the schemes).");
    }

    FormatEntry open(const std::string& path, bool writable, sg_image_file** file) {
        FormatEntry entry = choose(path);
        singularity::check([&](sg_error* e) { return entry.table->open(path.c_str(), writable ? 1 : 0, file, e); });
        return entry;
    }
};

PluginHost::PluginHost(const Settings& settings, const Index& index, const sg_host_mount_v2* mount,
                       std::function<const sg_host_credentials_v2&()> credentials, std::function<const sg_host_definition_v1&()> definitions)
    : impl_(std::make_unique<Impl>(*this, settings, index, mount, std::move(credentials), std::move(definitions))) {}

PluginHost::~PluginHost() = default;

const sg_host* PluginHost::c() const { return Services::c(); }
const Index& PluginHost::index() const { return impl_->index; }
const Settings& PluginHost::settings() const { return impl_->settings; }

const sg_bootstrap_v1& PluginHost::bootstrap(std::string_view scheme) {
    return impl_->table<sg_bootstrap_v1>(CapabilityKind::bootstrap, scheme);
}
const sg_transport_v1& PluginHost::transport(std::string_view scheme) {
    return impl_->table<sg_transport_v1>(CapabilityKind::transport, scheme);
}
const void* PluginHost::transport_table(std::string_view scheme, std::string_view below, const char* table, uint32_t version) {
    const Index& index = impl_->index;
    std::optional<CapabilityView> chosen;
    if (below.empty()) {
        chosen = impl_->need(CapabilityKind::transport, scheme);
    } else {
        bool reached = false;
        for (uint32_t i = 0; i < index.plugin_count() && !reached; ++i) {
            const PluginView p = index.plugin(i);
            if (!p.active) continue;
            for (const auto& c : index.capabilities_of(i)) {
                if (c.kind != CapabilityKind::transport || c.name != scheme) continue;
                if (p.name == below) reached = true;
                else chosen = c;
            }
        }
        if (!reached) throw Error(Code::not_found, "plugin " + std::string(below) + " is not registered as the transport for '" + std::string(scheme) + "'");
        if (!chosen)
            throw Error(Code::not_found, "plugin " + std::string(below) + " hides no other transport for '" + std::string(scheme) + "'",
                        "It must be registered after the plugin that it stands in front of.");
    }
    const LoadedPlugin& plugin = impl_->load(chosen->plugin);
    if (const void* found = plugin.find(chosen->name, table, version)) return found;
    throw Error(Code::unsupported, "plugin " + plugin.name() + ", the transport for '" + std::string(scheme) + "', has no table '" + table + "' in version " +
                                       std::to_string(version));
}
FormatEntry PluginHost::format(std::string_view name) { return impl_->format_entry(impl_->need(CapabilityKind::format, name)); }

FormatEntry PluginHost::default_format() {
    const auto formats = impl_->index.capabilities(CapabilityKind::format);
    // The last one that says so: later registrations win.
    for (auto c = formats.rbegin(); c != formats.rend(); ++c)
        if (c->standard) return impl_->format_entry(*c);
    throw Error(Code::not_found, "no registered format is the default one", "See: singularity plugin list");
}

const sg_launcher_v1& PluginHost::launcher(std::string_view name) {
    if (!name.empty()) return impl_->table<sg_launcher_v1>(CapabilityKind::launcher, name);
    const auto launchers = impl_->index.capabilities(CapabilityKind::launcher);
    if (launchers.empty()) throw Error(Code::not_found, "no launcher is registered", "See: singularity plugin list");
    return impl_->table<sg_launcher_v1>(CapabilityKind::launcher, launchers.front().name);
}

const sg_command_v1& PluginHost::command(std::string_view verb) {
    return impl_->table<sg_command_v1>(CapabilityKind::command, verb.substr(0, verb.find(' ')));
}

const sg_command_v1& PluginHost::command(const CapabilityView& command) {
    return *static_cast<const sg_command_v1*>(
        impl_->load(command.plugin).need(command.name, kind_name(CapabilityKind::command), command.line));
}

const sg_publish_v1* PluginHost::publish(std::string_view scheme) {
    return impl_->optional_table<sg_publish_v1>(scheme, "publish", &CapabilityView::publishes);
}
const sg_search_v1* PluginHost::search(std::string_view scheme) {
    return impl_->optional_table<sg_search_v1>(scheme, "search", &CapabilityView::searches);
}
const sg_delete_v1* PluginHost::remover(std::string_view scheme) {
    return impl_->optional_table<sg_delete_v1>(scheme, "delete", &CapabilityView::deletes);
}

const void* PluginHost::find_table(const CapabilityView& capability, const char* table, uint32_t version) {
    return impl_->load(capability.plugin).find(capability.name, table, version);
}

OpenedImage PluginHost::open_image(const std::string& path, bool writable) {
    const std::string full = absolute(path);
    sg_image_file* file = nullptr;
    FormatEntry entry = impl_->open(full, writable, &file);
    return {std::move(entry), file, full};
}

namespace {

template <class F>
bool any_listener(const Index& index, std::string_view event, F&& that) {
    for (const auto& c : index.capabilities(CapabilityKind::hook))
        if (std::find(c.words.begin(), c.words.end(), event) != c.words.end() && that(c)) return true;
    return false;
}

}  // namespace

bool PluginHost::listens(std::string_view event) const {
    return any_listener(impl_->index, event, [](const CapabilityView&) { return true; });
}

bool PluginHost::wants_digest(std::string_view event) const {
    return any_listener(impl_->index, event, [](const CapabilityView& c) { return c.wants_digest; });
}

bool PluginHost::wants_signers(std::string_view event) const {
    return any_listener(impl_->index, event, [](const CapabilityView& c) { return c.wants_signers; });
}

void PluginHost::notify(const sg_event& event) {
    for (const auto& c : impl_->index.capabilities(CapabilityKind::hook)) {
        if (std::find(c.words.begin(), c.words.end(), event.name) == c.words.end()) continue;
        try {
            const auto& hook = *static_cast<const sg_hook_v1*>(impl_->load(c.plugin).need(c.name, "hook", c.line));
            singularity::check([&](sg_error* e) { return hook.notify(&event, e); });
        } catch (const Error& e) {
            const bool over = std::string_view(event.name) == "built" || std::string_view(event.name) == "ended";
            if ((e.code() == Code::veto && !over) || e.code() == Code::cancelled) throw;
            log::warning("hook " + std::string(c.name) + ": " + e.message());
        }
    }
}

void PluginHost::verify(std::string_view name) {
    const auto p = impl_->index.find_plugin(name);
    if (!p) {
        std::vector<std::string_view> names;
        for (uint32_t i = 0; i < impl_->index.plugin_count(); ++i) names.push_back(impl_->index.plugin(i).name);
        throw Error(Code::not_found, "no plugin '" + std::string(name) + "' is registered", did_you_mean(name, names));
    }
    LoadedPlugin& loaded = impl_->load(p->number);
    for (const auto& c : impl_->index.capabilities_of(p->number)) {
        // A hook that only tells who signed an image is never notified.
        const bool tells =
            c.kind == CapabilityKind::hook && std::find(c.words.begin(), c.words.end(), "signers") != c.words.end();
        if (tells) loaded.need(c.name, "signers", c.line);
        if (!tells || c.words.size() > 1) loaded.need(c.name, kind_name(c.kind), c.line);
        if (c.publishes) loaded.need(c.name, "publish", c.line);
        if (c.searches) loaded.need(c.name, "search", c.line);
        if (c.deletes) loaded.need(c.name, "delete", c.line);
    }
}

Error PluginHost::unknown_scheme(std::string_view scheme) const { return impl_->unknown(CapabilityKind::bootstrap, scheme); }

}  // namespace sg
