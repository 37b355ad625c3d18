// The host of the plugins: finds who provides what in the index, loads an object the first time it is
// used, and gives plugins their services (singularity/host.h).
//
// One PluginHost is active per process image at a time, because the C tables of host.h carry no handle.
// Look-ups are guarded and may come from any thread. Tables live as long as the process.
#pragma once
#include <singularity/bootstrap.h>
#include <singularity/command.h>
#include <singularity/definition.h>
#include <singularity/format.hpp>
#include <singularity/hook.h>
#include <singularity/host.h>
#include <singularity/launcher.h>
#include <singularity/transport.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/call.hpp"
#include "base/error.hpp"
#include "config/index.hpp"
#include "config/settings.hpp"

namespace sg {

struct FormatEntry {
    std::string name;
    bool directory = false;               // it makes a directory, not a file
    const sg_format_v1* table = nullptr;
    const sg_parts_v1* parts = nullptr;   // may be null: it has none
    const sg_part_roots_v1* part_roots = nullptr;  // the same: its parts are no file systems
};

// An open image file or directory; closes it.
class OpenedImage {
public:
    OpenedImage(FormatEntry format, sg_image_file* file, std::string path);
    OpenedImage(OpenedImage&& other) noexcept;
    OpenedImage& operator=(OpenedImage&& other) noexcept;
    OpenedImage(const OpenedImage&) = delete;
    OpenedImage& operator=(const OpenedImage&) = delete;
    ~OpenedImage();

    const FormatEntry& format() const { return format_; }
    sg_image_file* file() const { return file_; }
    const std::string& path() const { return path_; }  // absolute

    // Each throws what the format reports.
    singularity::ForeignRoot root();  // lives until this is closed
    sg_mount_plan mount_plan();
    sg_image_info info();

private:
    FormatEntry format_;
    sg_image_file* file_ = nullptr;
    std::string path_;
};

class PluginHost {
public:
    // Keeps references to the first three; `mount` (for launchers) may be null. `credentials` is called when a plugin
    // asks for the first time, and without it nobody has any; likewise `definitions` (definition files).
    PluginHost(const Settings& settings, const Index& index, const sg_host_mount_v2* mount = nullptr,
               std::function<const sg_host_credentials_v2&()> credentials = {},
               std::function<const sg_host_definition_v1&()> definitions = {});
    ~PluginHost();  // ends the executor, removes temporary directories
    PluginHost(const PluginHost&) = delete;
    PluginHost& operator=(const PluginHost&) = delete;

    const sg_host* c() const;

    // The table of the plugin that provides it. Unknown names: Code::not_found naming the nearest one;
    // an object that cannot be used: a message with plugin, manifest and line.
    const sg_bootstrap_v1& bootstrap(std::string_view scheme);
    const sg_transport_v1& transport(std::string_view scheme);
    // Any table of a transport. `below` not "": of the one registered before the plugin of that name, which that one hides.
    // Code::not_found: there is none; Code::unsupported: it has no such table.
    const void* transport_table(std::string_view scheme, std::string_view below, const char* table, uint32_t version);
    FormatEntry format(std::string_view name);
    FormatEntry default_format();
    const sg_launcher_v1& launcher(std::string_view name);
    const sg_command_v1& command(std::string_view verb);  // the first word of it
    const sg_command_v1& command(const CapabilityView& command);
    // Optional tables; null when the capability has none.
    const sg_publish_v1* publish(std::string_view scheme);
    const sg_search_v1* search(std::string_view scheme);
    const sg_delete_v1* remover(std::string_view scheme);

    // Any other table of a capability; null when its plugin has none. Loads the plugin.
    const void* find_table(const CapabilityView& capability, const char* table, uint32_t version);

    // Opens with the format that the manifests' magics or shape point to, else the one that is surest.
    // `path` may be relative. A missing file is Code::not_found, one that no format knows Code::invalid.
    OpenedImage open_image(const std::string& path, bool writable = false);

    // Whether a hook listens to that event; loads nothing.
    bool listens(std::string_view event) const;
    // Whether one of those wants the digest, or the signers, of the image file.
    bool wants_digest(std::string_view event) const;
    bool wants_signers(std::string_view event) const;
    // Tells the hooks that listen to event.name. A veto is thrown, unless what it names is over (built, ended); other
    // failures are warnings.
    void notify(const sg_event& event);

    // Loads a plugin's object and checks it and every declared table; throws what is wrong.
    void verify(std::string_view plugin);

    // The error for a scheme that nobody provides: nearest name, or what its absent plugin's message says.
    Error unknown_scheme(std::string_view scheme) const;

    const Index& index() const;
    const Settings& settings() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sg
