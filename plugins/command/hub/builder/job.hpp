// The directory in which one build runs, and the scripts that make it the build's prison. Whatever executor starts
// `job.sh`, this happens:
//
//   job.sh        the hub's user: namespaces (unshare), the network if there is one (slirp4netns), the log and its
//   limit inside.sh     first process of the PID namespace, root of a user namespace: `singularity exec` of the builder
//   image,
//                 and the watch over time, memory and disk; when it ends, everything in there ends
//   container.sh  in the container: unpacks the context, runs `singularity build`
//
// The container sees of the hub's machine: `build` as /build, its own changes (`root`, an overlay), /dev/fuse.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "hub/builder/options.hpp"
#include "hub/store/blobs.hpp"

namespace hub {

struct JobInput {
    std::string definition;
    std::string directory;  // where relative paths begin; "" = /build
    std::string context;    // a file: tar.gz of paths below /; "" = none
};

class JobDirectory {
public:
    JobDirectory(const BuilderOptions& options, const std::string& id);
    const std::string& path() const { return path_; }
    std::string log() const { return path_ + "/log"; }
    void prepare(const JobInput& input);
    // The exit status that job.sh left; nullopt: it was ended from outside.
    std::optional<int> status() const;
    // The image that the build made: a plain file, whatever stands at the name. False when there is none.
    File result() const;
    // Whether the disk below it is full.
    bool no_room() const;
    // What the hub says in the log.
    void say(const std::string& line) const;
    // All but the log; files of subordinate ids too.
    void clean() const;
    void remove() const;

private:
    void remove_trees(const std::vector<std::string>& paths) const;
    const BuilderOptions& options_;
    std::string path_;
};

}  // namespace hub
