#include "cli/gpu_options.hpp"

#include <cstdlib>

#include "base/log.hpp"
#include "runtime/gpu.hpp"

namespace sg {

namespace {

// Environments for containers carry NVIDIA_VISIBLE_DEVICES as the container is to see it.
std::string visible_devices(const runtime::LaunchOptions& launch) {
    for (auto it = launch.environment.rbegin(); it != launch.environment.rend(); ++it)
        if (it->first == "NVIDIA_VISIBLE_DEVICES") return it->second;
    for (const char* name :
         {"APPTAINERENV_NVIDIA_VISIBLE_DEVICES", "SINGULARITYENV_NVIDIA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"})
        if (const char* value = std::getenv(name)) return value;
    return {};
}

constexpr std::string_view group = "Devices";

}  // namespace

void GpuOptions::declare_gpus(Arguments& arguments) {
    arguments.flag("--nv", nv_, "NVIDIA GPUs: their devices, libraries and programs of the host")
        .variable("NV")
        .group(group);
    arguments.flag("--nvccli", nvccli_, "As --nv, which needs no nvidia-container-cli").variable("NVCCLI").group(group);
    arguments.flag("--rocm", rocm_, "AMD GPUs: their devices, libraries and programs of the host")
        .variable("ROCM")
        .group(group);
}

void GpuOptions::find_gpus(runtime::LaunchOptions& launch, Session& session) const {
    const Settings& settings = session.settings;
    const auto check = [&](const char* key, bool wanted, bool refused, const char* name) {
        if (settings.boolean(key) ? refused : wanted && !refused)
            settings.need_unlocked(key, std::string(refused ? "--no-" : "--") + name);
    };
    check("gpu.nv", nv_ || nvccli_, no_nv_, "nv");
    check("gpu.rocm", rocm_, no_rocm_, "rocm");
    const bool nv = !no_nv_ && (nv_ || nvccli_ || session.settings.boolean("gpu.nv"));
    const bool rocm = !no_rocm_ && (rocm_ || session.settings.boolean("gpu.rocm"));
    if (!nv && !rocm) return;
    runtime::HostFiles& files = launch.host_files;
    runtime::GpuHost host;
    if (const char* path = std::getenv("PATH")) host.path = path;
    const auto find = [&](const char* what, const char* list, auto&& find_devices) {
        runtime::find_gpu_files(runtime::read_gpu_list(session.installation.conf_dir + "/" + list), host, files,
                                compat32_);
        find_devices();
        if (files.libraries.empty() && files.files.empty() && files.devices.empty())
            files.warnings.push_back(std::string("Could not find any ") + what + " files on this host!");
    };
    if (nv) find("nv", "nvliblist.conf", [&] { runtime::find_nvidia_devices(visible_devices(launch), host, files); });
    if (rocm) find("rocm", "rocmliblist.conf", [&] { runtime::find_amd_devices(host, files); });
}

void GpuOptions::settle_gpus(runtime::LaunchOptions& launch, Session& session) const {
    find_gpus(launch, session);
    tell(launch);
}

void GpuOptions::tell(runtime::LaunchOptions& launch) {
    const runtime::HostFiles& files = launch.host_files;
    for (const auto& w : files.warnings) log::warning(w);
    for (const auto& l : files.libraries) log::debug("library of the host: " + l);
    // Before what --env says, which wins.
    launch.file_environment.insert(launch.file_environment.begin(), files.environment.begin(), files.environment.end());
}

}  // namespace sg
