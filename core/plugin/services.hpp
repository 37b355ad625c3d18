// The tables of singularity/host.h, as the active PluginHost serves them.
//
// The tables carry no handle, so there is one set for the process: it serves whichever Services is active.
#pragma once
#include <singularity/definition.h>
#include <singularity/host.h>
#include <singularity/policy.h>
#include <singularity/state.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "plugin/executor.hpp"
#include "plugin/memory_budget.hpp"
#include "plugin/temporary.hpp"

namespace sg {

class Services {
public:
    // `below`: "" or the plugin whose predecessor is wanted (PluginHost::transport_table).
    using FindTransport = std::function<const void*(std::string_view scheme, std::string_view below, const char* table, uint32_t version)>;
    using OpenImage = std::function<void(const char* path, bool writable, const sg_format_v1** format, const sg_parts_v1** parts,
                                         sg_image_file** image)>;
    using FindCredentials = std::function<const sg_host_credentials_v2&()>;
    using FindDefinitions = std::function<const sg_host_definition_v1&()>;
    using FindState = std::function<const sg_host_state_v1*()>;
    using FindSigners = std::function<std::vector<std::string>(const char* path, const sg_call* call)>;

    // Without `credentials` there are none, and without `definitions` nothing reads definition files.
    Services(const Settings& settings, const sg_host_mount_v2* mount, FindTransport transport, OpenImage image,
             FindCredentials credentials = {}, FindDefinitions definitions = {});
    ~Services();
    Services(const Services&) = delete;
    Services& operator=(const Services&) = delete;

    // Made at first use.
    Executor& executor();
    MemoryBudget& memory();
    Temporary& temporary();

    const Settings& settings() const { return settings_; }
    const sg_host_mount_v2* mount() const { return mount_; }
    const sg_host_mount_v1* mount_v1() const { return mount_ ? &mount_v1_ : nullptr; }
    const FindTransport& transport() const { return transport_; }
    const OpenImage& image() const { return image_; }
    const FindCredentials& credentials() const { return credentials_; }
    const FindDefinitions& definitions() const { return definitions_; }
    const FindSigners& signers() const { return signers_; }
    // Of the active one, before any plugin is called; without it nobody tells who signed an image.
    static void set_signers(FindSigners find);
    // Likewise what plugins find again in a later process, found when one asks for it; null: nothing is kept.
    static void set_state(FindState find);
    static const sg_host_state_v1* state();

    static const sg_host* c();  // the one host of the process

private:
    const Settings& settings_;
    const sg_host_mount_v2* mount_;
    const sg_host_mount_v1 mount_v1_;  // what of it the first version had
    FindTransport transport_;
    OpenImage image_;
    FindCredentials credentials_;
    FindDefinitions definitions_;
    FindSigners signers_;
    FindState state_;
    std::mutex mutex_;
    std::unique_ptr<MemoryBudget> memory_;
    std::unique_ptr<Temporary> temporary_;
    std::unique_ptr<Executor> executor_;  // last: its jobs use the others
};

}  // namespace sg
