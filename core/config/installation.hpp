// Where this installation lies. Found from the running executable, so that an install can be moved;
// a build tree has the same parts in other places.
//
//   install: PREFIX/bin/singularity, PREFIX/etc/singularity, PREFIX/LIB/singularity/plugins,
//            PREFIX/libexec/singularity/*.so, PREFIX/LIB/singularity/index
//   build:   BUILD/bin/singularity, BUILD/etc/singularity, BUILD/plugins, BUILD/libexec/singularity/*.so
#pragma once
#include <string>

namespace sg {

struct Installation {
    std::string executable;   // absolute path of the singularity program
    std::string prefix;
    std::string conf_dir;     // singularity.yaml, conf.d, plugins.d
    std::string plugin_dir;   // what relative manifests in plugins.d are relative to
    std::string module;       // the internal module with the heavy verbs
    std::string lookup;       // the small one that finds images in the cache
    std::string site_index;   // the index written at install
    uint32_t owner = 0;       // uid that owns the executable: it is trusted as much as root

    // From /proc/self/exe; throws when it cannot be read.
    static Installation find();
    static Installation at(const std::string& executable);
};

}  // namespace sg
