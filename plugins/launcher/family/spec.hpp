// The LaunchSpec as this launcher reads it (docs/launch-spec.md): values only, checked once, here.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "family/cgroup.hpp"

namespace launcher {

enum class Missing { fail, warn, skip };  // what to do when a mount cannot be made

struct Mount {
    std::string destination;  // absolute and clean, in the container
    // "bind"; "proc", "sysfs", "tmpfs", "mqueue"; "session": an empty directory of the session's
    // memory; "generated": a file that this launcher makes (source "passwd" or "group") or that
    // `content` gives; "dev": a /dev of our own; "image": `source` inside the image number `image`;
    // "fuse": what `command` serves; "files": a directory of files of the host; "volume": the
    // directory that is there, changes of which are kept in the session's memory
    std::string type;
    std::string source;
    std::string content;
    std::string tag;  // for messages
    std::vector<std::string> devices;  // "dev": further devices of the host to show
    std::vector<std::string> sources;  // "files": files of the host to show, by their base names
    bool recursive = false, read_only = false, no_suid = false, no_dev = false, no_exec = false;
    bool replace_link = false;   // a symbolic link at the destination is covered, not followed
    bool keep_link = false;      // of a source that is a symbolic link the link is shown, if it leads to something there
    bool unless_same = false;    // nothing to do when source and destination are one directory already
    bool directory = true;       // what a made destination is to be
    bool create = true;          // make the destination when the image lacks it
    uint32_t mode = 0755;        // of a session directory
    uint32_t image = 0;
    std::vector<std::string> command;  // "fuse": the program that serves it
    bool in_container = false;         // and it runs there
    bool daemon = false;               // it goes to the background by itself
    bool terminals = true;             // "dev": with a /dev/pts of its own
    Missing missing = Missing::fail;  // the destination is not there and cannot be made
    bool only_place = false;           // somebody else mounts there: only the destination must be (never in a LaunchSpec)
};

struct Mapping {
    uint32_t container = 0, host = 0, size = 0;
};

struct PasswdEntry {
    std::string name, gecos, home, shell;
    uint32_t uid = 0, gid = 0;
    bool present = false;
};

struct GroupEntry {
    std::string name;
    uint32_t gid = 0;
};

enum class Role { root, overlay, data };

struct Image {
    Role role = Role::root;
    std::string type, path;  // a mount plan; "bind" is a directory
    uint64_t offset = 0, size = 0;
    bool writable = false;  // of the root: it could be written to; of the others: it is to be
    std::string arch;
};

// CNI networks that a new network namespace joins; without names it has its loopback device alone.
struct Networks {
    std::vector<std::string> names, arguments;
    std::string configuration;         // directory of configuration files
    std::vector<std::string> plugins;  // directories of plugins
};

struct InstanceFacts {
    std::string title;     // of the first process in process lists
    std::string out, err;  // files of the host that output is appended to; "" = nowhere
};

struct Spec {
    // process
    std::vector<std::string> environment;  // "K=V": before the image's scripts
    std::string cwd;
    bool cwd_required = false;
    std::vector<std::string> cwd_fallback;
    bool no_new_privileges = false;
    bool set_capabilities = false;  // to these; otherwise they stay as they are
    uint64_t capabilities = 0;
    bool change_user = false;  // root becomes these ids
    uint32_t process_uid = 0, process_gid = 0;
    std::vector<uint32_t> process_groups;
    std::string apparmor, selinux, seccomp;  // "" = none; the last one is a profile as JSON
    // namespaces
    bool user = false, pid = false, ipc = false, uts = false, net = false;
    std::string network_path;  // an existing network namespace
    Networks networks;
    std::vector<Mapping> uids, gids;
    std::string propagation = "rslave";
    std::string hostname;
    bool init = true;  // with pid: a first process that reaps and forwards
    std::vector<Mount> mounts;
    bool read_only = true;
    std::vector<Image> images;
    // container
    std::string action, app, shell;
    std::vector<std::string> arguments;
    std::vector<std::pair<std::string, std::string>> overrides;
    bool evaluate = true;
    unsigned timeout = 60;  // seconds for the image's scripts
    std::string layer = "auto";  // "none": never; "tmpfs": writable, in memory
    std::vector<std::string> session_places;
    uint64_t session_bytes = 64u << 20;
    bool allow_setuid = false;
    std::vector<std::string> wrapper;  // the program is started by this one, when the container can
    PasswdEntry user_entry;
    std::vector<GroupEntry> groups;
    Resources resources;
    InstanceFacts instance;  // of one that is started under a name
};

// Throws Code::invalid for a version or a shape that this launcher does not know.
Spec parse_spec(std::string_view json);

}  // namespace launcher
