// How this hub builds: the configuration keys hub.builder.* (README.md).
#pragma once
#include <cstdint>
#include <singularity/host.hpp>
#include <string>
#include <vector>

namespace hub {

struct BuilderOptions {
    enum class Kind { none, local, slurm } kind = Kind::none;
    std::string image;       // the builder image, whose root a build sees
    std::string directory;   // where builds lie; with Slurm all its nodes must see it
    bool internet = false;   // else a build has no network at all
    int64_t concurrent = 2;  // of the local executor
    int64_t cpus = 2, memory = 0, disk = 0, seconds = 0, processes = 0;  // of one build; bytes
    std::string partition, account;                                      // Slurm's
    std::string program;  // our own `singularity`, by its path on every machine that builds
    // The first of 65536 subordinate ids of the user that the hub runs as; 0 = it has none.
    uint32_t first_uid = 0, first_gid = 0;
    bool subordinate_ids() const { return first_uid > 0 && first_gid > 0; }
    // The words of unshare(1) for a namespace whose root is the hub's user, and which has the subordinate ids from 1
    // on.
    std::vector<std::string> user_namespace() const;

    // kind none when the configuration names no executor. Throws Code::invalid, with the key, for what cannot work.
    static BuilderOptions read(const singularity::Host& host, const std::string& data);
};

}  // namespace hub
