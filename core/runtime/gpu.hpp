// The host's driver files of GPUs that a container needs (docs/user/devices-and-limits.md): which, by a list file,
// and where they are.
#pragma once
#include <string>
#include <vector>

#include "runtime/host_files.hpp"

namespace sg::runtime {

// Where things are looked for; tests put them elsewhere.
struct GpuHost {
    std::string library_cache = "/etc/ld.so.cache";
    std::string path;               // $PATH of the caller
    std::string devices = "/dev";
    std::string outer_libraries = "/.singularity.d/libs";  // there inside a container: those of the one around us
    std::string drivers = "/proc/driver/nvidia/gpus";      // tells which UUID has which device
    std::string sockets = "/var/run";
};

// Entries of nvliblist.conf and its kin: one a line, '#' begins a comment.
//   contains ".so"        a library; every cached name that begins with it, or an absolute path and the links to it
//   an absolute path      a file, at the same path
//   else                  a program of $PATH, at /usr/bin/NAME
std::vector<std::string> read_gpu_list(const std::string& path);

// Adds what there is of `entries`. Libraries for another machine or word size than this program's are left out, but
// with `also_32` those for programs of 32 bits, which the same machine runs as well, come to /.singularity.d/libs32.
void find_gpu_files(const std::vector<std::string>& entries, const GpuHost& host, HostFiles& to, bool also_32 = false);

// `visible`: NVIDIA_VISIBLE_DEVICES: numbers or UUIDs by commas, "none", else all.
void find_nvidia_devices(const std::string& visible, const GpuHost& host, HostFiles& to);
void find_amd_devices(const GpuHost& host, HostFiles& to);

}  // namespace sg::runtime
