// --device and its kin, of which files in YAML tell: only where containers are started.
#include "base/error.hpp"
#include "cli/comma_list.hpp"
#include "cli/gpu_options.hpp"
#include "runtime/cdi.hpp"

namespace sg {

namespace {

constexpr std::string_view group = "Devices";

}  // namespace

void GpuOptions::declare(Arguments& arguments) {
    declare_gpus(arguments);
    arguments.flag("--no-nv", no_nv_, "None, although the configuration says so").variable("NV_OFF,NO_NV").group(group);
    arguments.flag("--no-rocm", no_rocm_, "None, although the configuration says so")
        .variable("ROCM_OFF,NO_ROCM")
        .group(group);
    arguments.flag("--compat32", compat32_, "With --nv or --rocm: also their libraries of 32 bits")
        .variable("COMPAT32")
        .group(group);
    arguments.list("--device", devices_, "Devices by CDI: VENDOR/CLASS=NAME, as nvidia.com/gpu=0")
        .variable("DEVICE")
        .shown_as("LIST")
        .group(group);
    arguments.list("--cdi-dirs", directories_, "Where CDI files lie (/etc/cdi, /var/run/cdi)")
        .variable("CDI_DIRS")
        .shown_as("LIST")
        .group(group);
    arguments.list("--containlibs", libraries_, "Libraries of the host to show in /.singularity.d/libs")
        .variable("CONTAINLIBS")
        .shown_as("LIST")
        .group(group);
}

void GpuOptions::settle(runtime::LaunchOptions& launch, Session& session) const {
    find_gpus(launch, session);
    runtime::HostFiles& files = launch.host_files;
    for (const auto& path : comma_list(libraries_)) {
        if (path[0] != '/') throw Error(Code::usage, "--containlibs " + path + ": the path must be absolute");
        files.libraries.push_back(path);
    }
    const auto directories = comma_list(directories_);
    if (!devices_.empty())
        runtime::find_cdi_devices(comma_list(devices_), directories.empty() ? runtime::cdi_directories : directories, files);
    tell(launch);
}

}  // namespace sg
