// Where the scripts of a definition run: a process of its own with the base below a writable layer.
//
//     BuildSession session(plan, call);     forks: namespaces, mounts, scripts
//     session.run();                   waits for the scripts; throws what failed, with the place in the definition
//     session.changes()                the writable layer as a tar stream (rootfs/upper_tree.hpp)
//     session.end();                   the process ended well and has removed its files
//
// The process has its own mount and PID namespace, and for an ordinary user a user namespace: whatever a script starts
// ends with it. Destroying a BuildSession kills it. Needs overlay file systems; where they cannot be had the base is unpacked.
#pragma once
#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "build/files_copy.hpp"
#include "build/host_share.hpp"
#include "build/recipe_base.hpp"
#include "build/recipe_sections.hpp"

namespace sg {

struct SessionPlan {
    PluginHost& plugins;
    const definition::Text& text;
    const definition::Stage& stage;
    RecipeBase& base;
    std::string prefix, plugin_directory;  // of the installation
    std::string directory;                 // where the user stands
    std::string work;                      // an empty directory, this build's own
    std::optional<definition::Section> setup, post;
    std::vector<AppSections> apps;
    HostShare share;
    bool emulate_stat = false;  // an ordinary user's scripts are told recorded owners and devices by stat
    // Copies files into the root file system: those of stages, then those of the host.
    std::function<void(FilesTarget& to)> files_of_stages, files_of_host;
};

// What scripts left beside files.
struct ScriptResults {
    std::string labels;
    std::optional<std::string> environment;
    std::string metadata;         // what the image says of itself then: BaseMetadata, packed
    bool unpacked = false;        // the changes are the whole root file system
    bool owners_unknown = false;  // all files belong to the user: there were no other ids, and none could be recorded
    std::string owners_missing;   // why not, as half a sentence; not known of kept results
};

class BuildSession {
public:
    BuildSession(SessionPlan plan, const sg_call* call);
    BuildSession(const BuildSession&) = delete;
    BuildSession& operator=(const BuildSession&) = delete;
    ~BuildSession();

    const ScriptResults& run();
    const ScriptResults& results() const { return results_; }  // as far as it is known
    // With run() failed: the changes up to then.
    std::unique_ptr<singularity::Stream> changes();
    void end();

private:
    struct Output;
    void relay(int timeout);
    bool next_event(char& type, std::string& payload);
    [[noreturn]] void failed(const std::string& payload);

    SessionPlan plan_;
    const sg_call* call_;
    pid_t child_ = -1;
    UniqueFd events_, tar_;
    std::unique_ptr<Output> output_;
    ScriptResults results_;
    bool subordinate_ = false;
};

}  // namespace sg
