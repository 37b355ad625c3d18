#include "cli/gpu_options.hpp"

#include <cstdlib>

#include "base/log.hpp"
#include "runtime/cdi.hpp"
#include "runtime/gpu.hpp"

namespace sg {

namespace {

// Environments for containers carry NVIDIA_VISIBLE_DEVICES as the container is to see it.
std::string visible_devices(const runtime::LaunchOptions& launch) {
    for (auto it = launch.environment.rbegin(); it != launch.environment.rend(); ++it)
        if (it->first == "NVIDIA_VISIBLE_DEVICES") return it->second;
    for (const char* name : {"APPTAINERENV_NVIDIA_VISIBLE_DEVICES", "SINGULARITYENV_NVIDIA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"})
        if (const char* value = std::getenv(name)) return value;
    return {};
}

std::vector<std::string> words(const std::vector<std::string>& texts) {
    std::vector<std::string> out;
    for (const auto& text : texts)
        for (size_t at = 0; at <= text.size();) {
            const size_t end = std::min(text.find(',', at), text.size());
            if (end > at) out.push_back(text.substr(at, end - at));
            at = end + 1;
        }
    return out;
}

}  // namespace

void GpuOptions::declare(Arguments& arguments) {
    constexpr std::string_view group = "Devices";
    arguments.flag("--nv", nv_, "NVIDIA GPUs: their devices, libraries and programs of the host").variable("NV").group(group);
    arguments.flag("--no-nv", no_nv_, "None, although the configuration says so").variable("NV_OFF,NO_NV").group(group);
    arguments.flag("--nvccli", nvccli_, "As --nv, which needs no nvidia-container-cli").variable("NVCCLI").group(group);
    arguments.flag("--rocm", rocm_, "AMD GPUs: their devices, libraries and programs of the host").variable("ROCM").group(group);
    arguments.flag("--no-rocm", no_rocm_, "None, although the configuration says so").variable("ROCM_OFF,NO_ROCM").group(group);
    arguments.flag("--compat32", compat32_, "With --nv or --rocm: also their libraries of 32 bits").variable("COMPAT32").group(group);
    arguments.list("--device", devices_, "Devices by CDI: VENDOR/CLASS=NAME, as nvidia.com/gpu=0").variable("DEVICE").shown_as("LIST").group(group);
    arguments.list("--cdi-dirs", directories_, "Where CDI files lie (/etc/cdi, /var/run/cdi)").variable("CDI_DIRS").shown_as("LIST").group(group);
    arguments.list("--containlibs", libraries_, "Libraries of the host to show in /.singularity.d/libs").variable("CONTAINLIBS").shown_as("LIST").group(group);
}

void GpuOptions::settle(runtime::LaunchOptions& launch, Session& session) const {
    const Settings& settings = session.settings;
    const auto check = [&](const char* key, bool wanted, bool refused, const char* name) {
        if (settings.boolean(key) ? refused : wanted && !refused)
            settings.need_unlocked(key, std::string(refused ? "--no-" : "--") + name);
    };
    check("gpu.nv", nv_ || nvccli_, no_nv_, "nv");
    check("gpu.rocm", rocm_, no_rocm_, "rocm");
    const bool nv = !no_nv_ && (nv_ || nvccli_ || session.settings.boolean("gpu.nv"));
    const bool rocm = !no_rocm_ && (rocm_ || session.settings.boolean("gpu.rocm"));
    if (!nv && !rocm && devices_.empty() && libraries_.empty()) return;
    runtime::HostFiles& files = launch.host_files;
    runtime::GpuHost host;
    if (const char* path = std::getenv("PATH")) host.path = path;
    const auto find = [&](const char* what, const char* list, auto&& find_devices) {
        runtime::find_gpu_files(runtime::read_gpu_list(session.installation.conf_dir + "/" + list), host, files, compat32_);
        find_devices();
        if (files.libraries.empty() && files.files.empty() && files.devices.empty())
            files.warnings.push_back(std::string("Could not find any ") + what + " files on this host!");
    };
    if (nv) find("nv", "nvliblist.conf", [&] { runtime::find_nvidia_devices(visible_devices(launch), host, files); });
    if (rocm) find("rocm", "rocmliblist.conf", [&] { runtime::find_amd_devices(host, files); });
    for (const auto& path : words(libraries_)) {
        if (path[0] != '/') throw Error(Code::usage, "--containlibs " + path + ": the path must be absolute");
        files.libraries.push_back(path);
    }
    const auto directories = words(directories_);
    if (!devices_.empty()) runtime::find_cdi_devices(words(devices_), directories.empty() ? runtime::cdi_directories : directories, files);
    for (const auto& w : files.warnings) log::warning(w);
    for (const auto& l : files.libraries) log::debug("library of the host: " + l);
    // Before what --env says, which wins.
    launch.file_environment.insert(launch.file_environment.begin(), files.environment.begin(), files.environment.end());
}

}  // namespace sg
