#include "cli/plugin_manage.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/log.hpp"
#include "base/nearest.hpp"
#include "base/trusted_path.hpp"
#include "base/unique_fd.hpp"
#include "cli/module_client.hpp"
#include "cli/print.hpp"
#include "config/compile.hpp"
#include "config/encode.hpp"
#include "config/manifest.hpp"
#include "config/plugin_place.hpp"
#include "config/store.hpp"
#include "config/yaml_source.hpp"
#include "plugin/object_file.hpp"

namespace sg {

namespace {

constexpr uint64_t largest_file = 1u << 30;
constexpr unsigned longest_loading = 20;  // seconds
constexpr char archive_holds[] = "An archive holds plugin.yaml and the object, at its top or in one directory.";

std::string place_of(std::string_view file, uint32_t line) { return std::string(file) + ":" + std::to_string(line); }

// Undoes what was begun unless it was kept.
class Undo {
public:
    explicit Undo(std::function<void()> undo) : undo_(std::move(undo)) {}
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    ~Undo() {
        if (!undo_) return;
        try {
            undo_();
        } catch (const std::exception& e) {
            log::warning(e.what());
        }
    }
    void keep() { undo_ = nullptr; }

private:
    std::function<void()> undo_;
};

// ---- Where, and what is there ---------------------------------------------------------------------

bool owns_installation(const Session& session) { return geteuid() == 0 || geteuid() == session.installation.owner; }

// A site that forbids plugins of users locks the key with it (compile.cpp).
void check_users_may(const Session& session) {
    const auto key = session.plugins.index().find_key("plugins.user");
    if (!key || key->lock_file.empty() || key->values.empty() || key->values[0] != "false") return;
    throw Error(Code::permission,
                "this site forbids plugins of users (" + place_of(key->file, key->line) + ": plugins.user)",
                "Ask its administrator to install the plugin for everybody.");
}

PluginPlace user_place(const Session& session) {
    check_users_may(session);
    return PluginPlace::of_user(Home::find());
}

Index compiled_now(const Session& session) { return load_index(session.installation, Home::find(), Keep::site).index; }

// Compiles the index for the commands that follow. Fresh files could change once more without a new time stamp, so an
// index of them is not kept: that moment is waited for here, once, and not by the next commands.
void rebuild_index(const Session& session, const PluginPlace& place) {
    try {
        if (!place.user && owns_installation(session)) return write_site_index(session.installation);
        const timespec pause{0, 80'000'000};
        nanosleep(&pause, nullptr);
        load_index(session.installation, Home::find(), Keep::site);
    } catch (const Error& e) {
        log::debug(e.message());  // the next command makes it
    }
}

// One at a time changes what is kept at a place.
UniqueFd locked(const PluginPlace& place) {
    place.make();
    UniqueFd fd(open(place.plugins.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) throw_errno("cannot open", place.plugins);
    while (flock(fd.get(), LOCK_EX) != 0)
        if (errno != EINTR) throw_errno("cannot lock", place.plugins);
    // Of a process that was killed: nobody else is at work.
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(place.plugins, ignored))
        if (entry.path().filename().string().starts_with(".install-"))
            std::filesystem::remove_all(entry.path(), ignored);
    return fd;
}

// ---- Installing ------------------------------------------------------------------------------------

// A directory that is gone at the end.
class Temporary {
public:
    explicit Temporary(const std::string& parent) : path_(parent + "/.install-XXXXXX") {
        if (!mkdtemp(path_.data())) throw_errno("cannot make", path_);
    }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    ~Temporary() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// Regular files that others may write are not taken.
void copy_file(const std::string& from, const std::string& to, mode_t mode) {
    const UniqueFd in(open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat st {};
    if (!in || fstat(in.get(), &st) != 0) throw_errno("cannot read", from);
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, from + ": is not a regular file");
    if ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != 0 && st.st_gid != st.st_uid))
        throw Error(Code::permission, from + ": is not installed, because other users may write to it",
                    "Run: chmod go-w " + from);
    if (static_cast<uint64_t>(st.st_size) > largest_file) throw Error(Code::limit, from + ": is larger than 1 GiB");
    const UniqueFd out(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!out) throw_errno("cannot write", to);
    std::vector<char> buffer(256 << 10);
    for (;;) {
        const ssize_t n = ::read(in.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", from);
        if (n == 0) break;
        for (ssize_t done = 0; done < n;) {
            const ssize_t w = ::write(out.get(), buffer.data() + done, static_cast<size_t>(n - done));
            if (w < 0 && errno == EINTR) continue;
            if (w <= 0) throw_errno("cannot write", to);
            done += w;
        }
    }
    if (fchmod(out.get(), mode) != 0 || fsync(out.get()) != 0) throw_errno("cannot write", to);
}

// The manifest in `directory`, or in the one directory that an archive usually has around everything.
std::string directory_with_manifest(const std::string& directory, const std::string& shown, bool archive) {
    if (access((directory + "/plugin.yaml").c_str(), F_OK) == 0) return directory;
    std::string only;
    unsigned entries = 0;
    if (archive) {
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            ++entries;
            if (entry.is_directory()) only = entry.path().string();
        }
        if (entries == 1 && !only.empty() && access((only + "/plugin.yaml").c_str(), F_OK) == 0) return only;
    }
    throw Error(
        Code::invalid, shown + ": holds no plugin: there is no plugin.yaml in it",
        archive ? archive_holds : "Name the directory of a built plugin, where plugin.yaml and the object lie.");
}

struct Wanted {
    std::string directory;  // to copy from
    std::string shown;      // what the user named
    std::string object;     // its file name
    model::Plugin plugin;
};

Wanted read_wanted(const std::string& directory, const std::string& shown, const Session& session) {
    Wanted w{directory, shown, {}, {}};
    struct stat st {};
    if (stat(directory.c_str(), &st) != 0) throw_errno("cannot read", shown);
    const std::string manifest = directory + "/plugin.yaml";
    const std::string unsafe = unsafe_way(manifest, {static_cast<uint32_t>(st.st_uid)}, Way::parent);
    if (!unsafe.empty())
        throw Error(Code::permission, shown + ": is not installed, because of " + unsafe,
                    "Run: chmod go-w " + directory);
    // Who installs vouches for a plugin that somebody else has built.
    YamlSources sources(
        {0, session.installation.owner, static_cast<uint32_t>(geteuid()), static_cast<uint32_t>(st.st_uid)});
    const auto document = sources.read(manifest);
    if (!document) throw Error(Code::not_found, manifest + ": no such manifest");
    std::vector<std::string> warnings;
    w.plugin = parse_manifest(manifest, *document, warnings);
    for (const auto& text : warnings) log::warning(text);
    if (w.plugin.abi > SG_ABI_VERSION)
        throw Error(Code::unsupported,
                    manifest + ": needs plugin ABI " + std::to_string(w.plugin.abi) + "; this program has " +
                        std::to_string(SG_ABI_VERSION),
                    "Use a version of the plugin for this program, or update the program.");
    if (!w.plugin.object.starts_with(directory + "/") ||
        w.plugin.object.find('/', directory.size() + 1) != std::string::npos)
        throw Error(Code::invalid, manifest + ": its object must lie beside it, not at " + w.plugin.object,
                    "Write its file name alone: 'object: NAME.so'.");
    w.object = w.plugin.object.substr(directory.size() + 1);
    need_object(w.plugin, shown);
    if (const std::string defect = object_defect(w.plugin.object); !defect.empty())
        throw Error(Code::unsupported,
                    "plugin " + w.plugin.name + " is not installed: its object " + w.plugin.object + " " + defect);
    return w;
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
}

// Loads the staged object in a child process, which may crash or hang: what cannot be used is not installed.
void check_that_it_loads(const std::string& staged, const Wanted& wanted) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    UniqueFd reading(ends[0]), writing(ends[1]);
    const pid_t pid = fork();
    if (pid < 0) throw_errno("cannot start a process", "");
    if (pid == 0) {
        alarm(longest_loading);
        // Its own words, and those of the crash guard, would stand beside the error that the user gets.
        const int nowhere = open("/dev/null", O_RDWR);
        for (const int standard : {0, 1, 2}) dup2(nowhere, standard);
        std::string said;
        try {
            const Index index = Index::owning(encode_index(compile_manifests({staged + "/plugin.yaml"})));
            const Settings settings(index);
            PluginHost host(settings, index, nullptr, {});
            host.verify(wanted.plugin.name);
            said = "+";
        } catch (const std::exception& e) {
            said = std::string("-") + e.what();
        }
        [[maybe_unused]] const ssize_t written =
            ::write(writing.get(), said.data(), std::min<size_t>(said.size(), 4096));
        _exit(0);
    }
    writing.reset();
    std::string said(4096, '\0');
    ssize_t n = 0;
    do n = ::read(reading.get(), said.data(), said.size());
    while (n < 0 && errno == EINTR);
    said.resize(n > 0 ? static_cast<size_t>(n) : 0);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (said.starts_with("+")) return;
    const std::string begin = "plugin " + wanted.plugin.name + " is not installed: ";
    if (said.empty())
        throw Error(Code::unsupported,
                    begin + "its object " + wanted.plugin.object +
                        (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " takes longer than 20 s to load"
                                                                            : " crashes when it is loaded"));
    said.erase(0, 1);
    replace_all(said, ", registered in (list):0", "");
    replace_all(said, staged, wanted.directory);
    throw Error(Code::unsupported, begin + said);
}

// What it hides, and what hides it.
std::string told_of(const Index& index, const PluginView& plugin) {
    std::string out;
    for (const auto& c : index.capabilities_of(plugin.number)) {
        if (c.kind == CapabilityKind::hook) continue;
        const std::string what = std::string(kind_name(c.kind)) + " " + std::string(c.name);
        if (c.shadowed) {
            const auto found = index.find(c.kind, c.name);
            if (!found) continue;
            const PluginView by = index.plugin(found->plugin);
            out += "Note: " + what + " comes from plugin " + std::string(by.name) + ", registered later (" +
                   place_of(by.registered_in, by.registered_line) + ")\n";
            continue;
        }
        for (uint32_t i = 0; i < plugin.number; ++i) {
            const PluginView other = index.plugin(i);
            if (!other.active) continue;
            for (const auto& o : index.capabilities_of(i))
                if (o.kind == c.kind && o.name == c.name)
                    out += "Note: " + what + " came from plugin " + std::string(other.name) + " so far\n";
        }
    }
    return out;
}

std::string for_whom(const PluginPlace& place) { return place.user ? "for you" : "for everybody"; }

void install_from(const std::string& directory, const std::string& shown, const PluginPlace& place, Session& session) {
    const Wanted wanted = read_wanted(directory, shown, session);
    const std::string& name = wanted.plugin.name;
    const std::string file = place.registration(name), target = place.directory(name);
    const auto registered = session.plugins.index().find_plugin(name);
    const bool there = access(file.c_str(), F_OK) == 0;
    // Another one of that name stays as it is; a user may have an own one in place of the site's.
    if (registered && registered->registered_in != file &&
        (!place.user || registered->registered_in.starts_with(place.registrations + "/")))
        throw Error(Code::exists,
                    "a plugin '" + name + "' is registered already (" +
                        place_of(registered->registered_in, registered->registered_line) + ")",
                    "Remove that registration, or give the plugin another name.");

    const UniqueFd lock = locked(place);
    const Temporary staged(place.plugins);
    copy_file(directory + "/plugin.yaml", staged.path() + "/plugin.yaml", 0644);
    copy_file(directory + "/" + wanted.object, staged.path() + "/" + wanted.object, 0755);
    if (access((directory + "/README.md").c_str(), F_OK) == 0)
        copy_file(directory + "/README.md", staged.path() + "/README.md", 0644);
    if (chmod(staged.path().c_str(), 0755) != 0) throw_errno("cannot set the mode of", staged.path());
    check_that_it_loads(staged.path(), wanted);

    // From here on every step is one that can be taken back.
    const bool replaces = access(target.c_str(), F_OK) == 0;
    if (replaces && !there)
        throw Error(Code::exists, target + ": is there already, and no 'plugin install' has registered it",
                    "Remove it, or give the plugin another name.");
    const auto swap = [&] {
        if (renameat2(AT_FDCWD, staged.path().c_str(), AT_FDCWD, target.c_str(),
                      replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE) != 0)
            throw_errno("cannot make", target);
    };
    swap();
    Undo back([&] {
        if (!there) remove_registration(file);
        if (replaces)
            swap();
        else
            std::filesystem::remove_all(target);
    });
    if (!there) write_registration(file, registration_text(name));
    const Index index = compiled_now(session);
    const auto now = index.find_plugin(name);
    const bool off = now && now->why.starts_with("disabled in ");
    if (!now || now->manifest != target + "/plugin.yaml" || (!now->active && !off))
        throw Error(Code::unsupported, "plugin " + name + " cannot be installed: " +
                                           (now && !now->active ? std::string(now->why)
                                            : now               ? "another one of that name is registered in " +
                                                        place_of(now->registered_in, now->registered_line)
                                                  : "its registration " + file + " is not read"));
    back.keep();
    rebuild_index(session, place);
    std::string kinds;
    for (const auto& c : index.capabilities_of(now->number))
        kinds += (kinds.empty() ? " (" : ", ") + std::string(kind_name(c.kind)) + " " + std::string(c.name);
    if (!session.quiet)
        print(std::string(replaces ? "Updated" : "Installed") + " plugin " + name +
              (now->version.empty() ? "" : " " + std::string(now->version)) + kinds + (kinds.empty() ? " " : ") ") +
              for_whom(place) + " in " + target + "\n" + told_of(index, *now) +
              (off ? "It is off: " + std::string(now->why) + "\n" : ""));
}

}  // namespace

PluginView need_plugin(const Index& index, const std::string& name) {
    if (const auto p = index.find_plugin(name)) return *p;
    std::vector<std::string_view> names;
    for (uint32_t i = 0; i < index.plugin_count(); ++i) names.push_back(index.plugin(i).name);
    const std::string near = did_you_mean(name, names);
    throw Error(Code::not_found, "no plugin '" + name + "' is registered",
                near.empty() ? "'singularity plugin list' shows those that are." : near);
}

void need_object(const model::Plugin& plugin, const std::string& what) {
    if (access(plugin.object.c_str(), R_OK) == 0) return;
    const int why = errno;
    struct stat st {};
    const std::string name = plugin.object.substr(plugin.object.rfind('/') + 1);
    const bool archive = stat(what.c_str(), &st) == 0 && S_ISREG(st.st_mode);
    if (archive && why == ENOENT)
        throw Error(Code::not_found, what + ": lacks the object " + name + ", which its plugin.yaml names",
                    archive_holds);
    throw Error(why == ENOENT ? Code::not_found : Code::io,
                "cannot read the plugin's object " + plugin.object + ": " + std::strerror(why),
                why == ENOENT
                    ? "Name the directory that it is built in, where plugin.yaml is too; build the plugin first."
                    : "")
        .because(why);
}

void install_plugin(const std::string& what, bool for_user, Session& session) {
    struct stat st {};
    if (stat(what.c_str(), &st) != 0) throw_errno("cannot install", what);
    const PluginPlace place = for_user ? user_place(session) : PluginPlace::of_site(session.installation);
    if (S_ISDIR(st.st_mode)) {
        std::string directory = std::filesystem::absolute(what).lexically_normal().string();
        if (directory.size() > 1 && directory.back() == '/') directory.pop_back();
        return install_from(directory_with_manifest(directory, what, false), what, place, session);
    }
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, what + ": is neither a directory nor an archive");
    place.make();  // who may not install learns it before anything is unpacked
    std::string parent = session.settings.text("tmpdir");
    const Temporary unpacked(parent.empty() ? "/tmp" : parent);
    unpack_plugin_in_child(*session.context, what, unpacked.path());
    install_from(directory_with_manifest(unpacked.path(), what, true), what, place, session);
}

void remove_plugin(const std::string& name, bool for_user, Session& session) {
    const PluginView known = need_plugin(session.plugins.index(), name);
    const Home home = Home::find();
    const bool own = known.registered_in.starts_with(home.config + "/plugins.d/");
    const PluginPlace place = for_user || own ? PluginPlace::of_user(home) : PluginPlace::of_site(session.installation);
    const std::string file = place.registration(name);
    if (access(file.c_str(), F_OK) != 0)
        throw Error(Code::unsupported,
                    "plugin " + name + " was not installed by 'plugin install': it is registered in " +
                        place_of(known.registered_in, known.registered_line),
                    own ? "Remove that line." : "'singularity plugin disable " + name + "' switches it off.");
    const UniqueFd lock = locked(place);
    // First what makes it known: a process that is killed after that leaves files that nobody uses.
    remove_registration(file);
    remove_registration(place.switching(name));
    const std::string target = place.directory(name);
    {
        const Temporary away(place.plugins);
        if (rename(target.c_str(), away.path().c_str()) != 0 && errno != ENOENT) throw_errno("cannot remove", target);
    }
    place.tidy();
    rebuild_index(session, place);
    if (!session.quiet) print("Removed plugin " + name + " from " + place.plugins + "\n");
    try {
        compiled_now(session);
    } catch (const Error& e) {  // mostly a file that still sets a key of the plugin
        log::warning("the configuration is wrong without the plugin, and commands will refuse it: " + e.message());
    }
}

void switch_plugin(const std::string& name, bool enabled, bool for_user, Session& session) {
    const PluginView known = need_plugin(session.plugins.index(), name);
    const bool off = !known.active && known.why.starts_with("disabled in ");
    if (!known.active && !off)
        throw Error(Code::unsupported, "plugin " + name + " cannot be " +
                                           (enabled ? "enabled: " : "disabled: it is not in use: ") +
                                           std::string(known.why));
    if (enabled == known.active) {
        print("Plugin " + name + " is " + (enabled ? "on" : "off") + " already" +
              (enabled ? "" : ": " + std::string(known.why)) + "\n");
        return;
    }
    const Home home = Home::find();
    const PluginPlace site = PluginPlace::of_site(session.installation);
    const bool own = for_user || known.registered_in.starts_with(home.config + "/plugins.d/") || !site.writable();
    const PluginPlace place = own ? user_place(session) : site;
    const UniqueFd lock = locked(place);
    const std::string file = place.switching(name);
    const bool was_there = access(file.c_str(), F_OK) == 0;
    Undo back([&] {
        if (was_there)
            write_registration(file, switching_text(name, !enabled));
        else
            remove_registration(file);
        place.tidy();
    });
    // Taking a switch away is enough where there was one; else a new one says it.
    remove_registration(file);
    Index index = compiled_now(session);
    auto now = index.find_plugin(name);
    if (!now || now->active != enabled) {
        write_registration(file, switching_text(name, enabled));
        index = compiled_now(session);
        now = index.find_plugin(name);
    }
    if (!now || now->active != enabled)
        throw Error(
            Code::unsupported,
            "plugin " + name + " cannot be " + (enabled ? "enabled" : "disabled") + " here: " +
                (now && !now->active ? std::string(now->why) : "a registration after " + file + " says otherwise"),
            "See: singularity plugin inspect " + name);
    back.keep();
    place.tidy();
    rebuild_index(session, place);
    if (!session.quiet)
        print(std::string(enabled ? "Enabled" : "Disabled") + " plugin " + name + " " + for_whom(place) + "\n");
}

}  // namespace sg
