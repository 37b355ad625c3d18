// The tables of singularity/host.h, as the active PluginHost serves them.
//
// The tables carry no handle, so there is one set for the process: it serves whichever Services is active.
#pragma once
#include <singularity/host.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

#include "config/settings.hpp"
#include "plugin/executor.hpp"
#include "plugin/memory_budget.hpp"
#include "plugin/temporary.hpp"

namespace sg {

class Services {
public:
    using FindTransport = std::function<const sg_transport_v1&(std::string_view scheme)>;
    using OpenImage = std::function<void(const char* path, const sg_format_v1** format, sg_image_file** image)>;

    Services(const Settings& settings, const sg_host_mount_v1* mount, FindTransport transport, OpenImage image);
    ~Services();
    Services(const Services&) = delete;
    Services& operator=(const Services&) = delete;

    // Made at first use.
    Executor& executor();
    MemoryBudget& memory();
    Temporary& temporary();

    const Settings& settings() const { return settings_; }
    const sg_host_mount_v1* mount() const { return mount_; }
    const FindTransport& transport() const { return transport_; }
    const OpenImage& image() const { return image_; }

    static const sg_host* c();  // the one host of the process

private:
    const Settings& settings_;
    const sg_host_mount_v1* mount_;
    FindTransport transport_;
    OpenImage image_;
    std::mutex mutex_;
    std::unique_ptr<MemoryBudget> memory_;
    std::unique_ptr<Temporary> temporary_;
    std::unique_ptr<Executor> executor_;  // last: its jobs use the others
};

}  // namespace sg
