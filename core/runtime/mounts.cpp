#include "runtime/mounts.hpp"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#include "base/error.hpp"

namespace sg::runtime {

std::string clean_path(std::string_view path) {
    std::vector<std::string_view> parts;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string_view part = path.substr(at, end - at);
        at = end + 1;
        if (part.empty() || part == ".") continue;
        if (part != "..")
            parts.push_back(part);
        else if (!parts.empty())
            parts.pop_back();
    }
    std::string out;
    for (const auto part : parts) out.append("/").append(part);
    return out.empty() ? "/" : out;
}

namespace {

enum class Kind { absent, file, directory };

Kind kind_of(const std::string& path) {
    struct stat s;
    if (::stat(path.c_str(), &s) != 0) return Kind::absent;
    return S_ISDIR(s.st_mode) ? Kind::directory : Kind::file;
}

bool is_below(std::string_view path, std::string_view top) {
    return top == "/" || (path.substr(0, top.size()) == top && (path.size() == top.size() || path[top.size()] == '/'));
}

// A name server of --dns; in IPv6 with a zone, as fe80::1%eth0.
void need_address(const std::string& text) {
    in6_addr out;
    if (::inet_pton(AF_INET, text.c_str(), &out) != 1 && ::inet_pton(AF_INET6, text.substr(0, text.find('%')).c_str(), &out) != 1)
        throw Error(Code::usage, "--dns " + text + ": not the address of a name server", "write numbers, as 192.0.2.1 or 2001:db8::1; several are divided by commas");
}

void need_host_name(const std::string& text) {
    const bool fits = text.size() <= HOST_NAME_MAX && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
    if (!fits) throw Error(Code::usage, "--hostname " + text + ": not a host name", "it is made of letters, digits, '-' and '.', at most " + std::to_string(HOST_NAME_MAX) + " of them");
}

class Planner {
public:
    Planner(const LaunchOptions& o, const Settings& s, const MountFacts& f) : options_(o), settings_(s), facts_(f) {}

    MountPlan make() {
        for (const auto& word : options_.no_mount) check_word(word);
        check_locks();
        device();
        host_file_systems();
        configured_binds();
        kernel();
        home();
        temporary();
        home_above_temporary();
        scratch();
        files();
        host_files();
        user_binds();
        current_directory();
        fuse_mounts();
        return std::move(plan_);
    }

private:
    bool off(std::string_view word) const {
        return std::find(options_.no_mount.begin(), options_.no_mount.end(), word) != options_.no_mount.end();
    }

    // What a lock keeps mounted no option takes away.
    void check_locks() const {
        static constexpr std::string_view switches[] = {"proc", "sys", "dev", "devpts", "home", "tmp", "hostfs"};
        for (const auto word : switches) {
            const std::string key = "mount." + std::string(word);
            if (off(word) && settings_.shown(key) != "false" && settings_.shown(key) != "no")
                settings_.need_unlocked(key, "--no-mount " + std::string(word));
        }
        if (options_.no_home && settings_.boolean("mount.home")) settings_.need_unlocked("mount.home", "--no-home");
        for (const auto& [key, path] : {std::pair{"files.passwd", "/etc/passwd"}, {"files.group", "/etc/group"}, {"files.resolv_conf", "/etc/resolv.conf"}})
            if (off(path) && settings_.boolean(key)) settings_.need_unlocked(key, std::string("--no-mount ") + path);
        if (off("bind-paths")) settings_.need_unlocked("bind.paths", "--no-mount bind-paths");
        for (const auto& text : settings_.list("bind.paths"))
            for (const auto& b : parse_binds(text))
                if (off(b.destination)) settings_.need_unlocked("bind.paths", "--no-mount " + b.destination);
    }

    void check_word(const std::string& word) {
        static constexpr std::string_view words[] = {"proc", "sys", "dev", "devpts", "home", "tmp", "hostfs", "cwd", "bind-paths"};
        if (!word.empty() && word[0] == '/') return;
        if (std::find(std::begin(words), std::end(words), word) == std::end(words))
            plan_.warnings.push_back("Ignoring unknown mount type '" + word + "' of --no-mount");
    }

    void need_user_control(const char* what) const {
        if (settings_.boolean("bind.user")) return;
        const Origin origin = settings_.origin("bind.user");
        throw Error(Code::permission, std::string(what) + " is not allowed: bind.user is no in " + origin.where);
    }

    Mount& bind(std::string tag, std::string source, std::string destination) {
        Mount m;
        m.type = "bind";
        m.tag = std::move(tag);
        m.directory = kind_of(source) != Kind::file;
        m.source = std::move(source);
        m.destination = clean_path(destination);
        plan_.mounts.push_back(std::move(m));
        return plan_.mounts.back();
    }

    Mount& special(std::string tag, std::string type, std::string destination) {
        Mount m;
        m.type = std::move(type);
        m.tag = std::move(tag);
        m.destination = std::move(destination);
        plan_.mounts.push_back(std::move(m));
        return plan_.mounts.back();
    }

    void device() {
        const std::string how = settings_.text("mount.dev");
        if (how == "no" || off("dev")) return;
        if (how != "minimal" && !options_.contain) {
            Mount& m = bind("dev", options_.devices.empty() ? "/dev" : options_.devices, "/dev");
            m.no_dev = false;
            m.missing = "warn";
            return;
        }
        // With a /dev of our own a bind of the host's /dev (or of one device) says what is added.
        for (const auto& b : options_.binds)
            if (clean_path(b.source) == "/dev" && clean_path(b.destination) == "/dev") return;
        Mount& m = special("dev", "dev", "/dev");
        m.terminals = settings_.boolean("mount.devpts") && !off("devpts");
        m.no_dev = false;
        m.missing = "warn";
        for (const auto& b : options_.binds)
            if (is_device_bind(b)) m.devices.push_back(clean_path(b.source));
        m.devices.insert(m.devices.end(), options_.host_files.devices.begin(), options_.host_files.devices.end());
    }

    bool own_dev() const {
        return std::any_of(plan_.mounts.begin(), plan_.mounts.end(), [](const Mount& m) { return m.type == "dev"; });
    }
    static bool is_device_bind(const Bind& b) {
        return is_below(clean_path(b.source), "/dev") && clean_path(b.source) == clean_path(b.destination) && clean_path(b.source) != "/dev";
    }

    void host_file_systems() {
        if (!settings_.boolean("mount.hostfs") || options_.contain || off("hostfs")) return;
        FILE* table = std::fopen("/proc/self/mountinfo", "re");
        if (!table) return;
        char line[8192], point[PATH_MAX];
        std::vector<std::string> points;
        while (std::fgets(line, sizeof line, table))
            if (std::sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1) points.emplace_back(point);
        std::fclose(table);
        for (const auto& p : points) {
            if (p == "/" || p.find('\\') != std::string::npos) continue;
            if (std::any_of(std::begin(hidden_), std::end(hidden_), [&](std::string_view top) { return is_below(p, top); })) continue;
            if (std::any_of(points.begin(), points.end(), [&](const std::string& q) { return q != "/" && q != p && is_below(p, q); })) continue;
            bind("hostfs", p, p).missing = "warn";
        }
    }

    void configured_binds() {
        if (off("bind-paths")) return;
        for (const auto& text : settings_.list("bind.paths")) {
            const auto entries = parse_binds(text);
            for (const auto& b : entries) {
                if (off(b.destination)) continue;
                // A network of its own knows none of the host's names.
                if (options_.contain && options_.net && clean_path(b.destination) == "/etc/hosts") continue;
                // These two are everybody's default; a machine or an image without them is no news.
                const bool usual = b.source == "/etc/localtime" || b.source == "/etc/hosts";
                if (kind_of(b.source) == Kind::absent) {
                    if (!usual) plan_.warnings.push_back("Skipping mount " + b.source + " [binds]: it doesn't exist on this machine");
                    continue;
                }
                Mount& m = bind("binds", b.source, b.destination);
                m.read_only = b.read_only;
                m.missing = usual ? "skip" : "warn";
                m.replace_link = b.source == "/etc/localtime";
            }
        }
    }

    void kernel() {
        if (settings_.boolean("mount.proc") && !off("proc")) {
            if (options_.pid) {
                special("kernel", "proc", "/proc").missing = "warn";
            } else {
                bind("kernel", "/proc", "/proc").missing = "warn";
            }
        }
        if (settings_.boolean("mount.sys") && !off("sys")) {
            if (facts_.user_namespace)
                bind("kernel", "/sys", "/sys").missing = "warn";
            else
                special("kernel", "sysfs", "/sys").missing = "warn";
        }
    }

    void home() {
        Home& h = plan_.home;
        h.source = facts_.user.home;
        h.destination = facts_.container_uid == 0 ? "/root" : facts_.user.home;
        if (facts_.container_uid == 0 && facts_.user.uid == 0 && h.source.empty()) h.source = "/root";
        bool custom = false;
        if (options_.home) {
            const auto b = split_home(*options_.home);
            if (!b.first.empty() || !b.second.empty()) {
                need_user_control("--home");
                custom = true;
                if (!b.first.empty()) h.source = absolute(b.first);
                h.destination = !b.second.empty() ? clean_path(b.second) : h.source;
                if (!b.second.empty() && b.second[0] != '/') throw Error(Code::usage, "--home " + *options_.home + ": the destination must be absolute");
            }
        }
        if (h.destination.empty()) h.destination = "/";
        if (options_.no_home || off("home") || !settings_.boolean("mount.home")) {
            h.mounted = false;
            return;
        }
        if (h.destination == "/") {
            plan_.warnings.push_back("Not mounting a home directory: it is /");
            h.mounted = false;
            return;
        }
        if (options_.contain && !custom) {
            if (!options_.workdir.empty()) {
                h.source = workdir("home", 0700);
            } else {
                h.source.clear();
            }
        } else if (kind_of(h.source) != Kind::directory) {
            if (custom) throw Error(Code::not_found, "--home: " + h.source + " is no directory");
            h.source.clear();
        }
        Mount& m = h.source.empty() ? special("home", "session", h.destination) : bind("home", h.source, h.destination);
        m.mode = 0700;
        m.directory = true;
    }

    // "SRC:DEST" at the first colon.
    static std::pair<std::string, std::string> split_home(const std::string& text) {
        const size_t colon = text.find(':');
        if (colon == std::string::npos) return {text, {}};
        return {text.substr(0, colon), text.substr(colon + 1)};
    }

    std::string absolute(const std::string& path) const {
        if (!path.empty() && path[0] == '/') return clean_path(path);
        if (facts_.cwd.empty()) throw Error(Code::not_found, "cannot resolve " + path + ": the current directory is not known");
        return clean_path(facts_.cwd + "/" + path);
    }

    // A directory below --workdir, made when missing.
    std::string workdir(const std::string& name, mode_t mode) {
        const std::string top = absolute(options_.workdir);
        if (kind_of(top) != Kind::directory) throw Error(Code::not_found, "--workdir: " + top + " is no directory");
        std::string path = top;
        for (size_t at = 0; at < name.size();) {
            const size_t end = std::min(name.find('/', at), name.size());
            if (end > at) {
                path += "/" + name.substr(at, end - at);
                const bool last = end == name.size();
                if (::mkdir(path.c_str(), last ? mode & 0777 : 0755) == 0) {
                    if (last) (void)!::chmod(path.c_str(), mode);
                } else if (errno != EEXIST) {
                    throw_errno("cannot create the working directory", path);
                }
            }
            at = end + 1;
        }
        return path;
    }

    void memory_or_workdir(const std::string& tag, const std::string& destination, const std::string& name, mode_t mode) {
        if (!options_.workdir.empty()) {
            bind(tag, workdir(name, mode), destination).mode = mode;
        } else {
            special(tag, "session", destination).mode = mode;
        }
    }

    void temporary() {
        if (!settings_.boolean("mount.tmp") || off("tmp")) return;
        if (options_.contain) {
            if (!options_.workdir.empty()) need_user_control("--workdir");
            memory_or_workdir("tmp", "/tmp", "tmp", 01777);
            memory_or_workdir("tmp", "/var/tmp", "var_tmp", 01777);
            for (auto it = plan_.mounts.end() - 2; it != plan_.mounts.end(); ++it) it->missing = "warn";
            return;
        }
        struct stat a, b;
        const bool have = ::stat("/tmp", &a) == 0;
        if (have) bind("tmp", "/tmp", "/tmp").missing = "warn";
        if (::stat("/var/tmp", &b) == 0 && !(have && a.st_dev == b.st_dev && a.st_ino == b.st_ino))
            bind("tmp", "/var/tmp", "/var/tmp").missing = "warn";
    }

    // A home below /tmp (--home DIR:/tmp/me) lies on the /tmp of the container and not below it, unless /tmp shows that home anyway.
    void home_above_temporary() {
        const auto hidden = [&](const Mount& m) {
            return m.tag == "home" && (options_.contain || m.source != m.destination) && (is_below(m.destination, "/tmp") || is_below(m.destination, "/var/tmp"));
        };
        const auto at = std::find_if(plan_.mounts.begin(), plan_.mounts.end(), hidden);
        if (at != plan_.mounts.end()) std::rotate(at, at + 1, plan_.mounts.end());
    }

    void scratch() {
        for (const auto& directory : options_.scratch) {
            need_user_control("--scratch");
            const std::string path = clean_path(directory);
            memory_or_workdir("scratch", path, "scratch" + path, 01777);
        }
    }

    void generated(const char* what, const std::string& destination, std::string content = {}) {
        Mount& m = special("files", "generated", destination);
        m.source = what;
        m.content = std::move(content);
        m.directory = false;
        m.replace_link = true;
        m.missing = "warn";
        m.recursive = false;
    }

    // A link into /run is kept up to date by a service, which replaces the file that it leads to: with the file's directory
    // and the link itself a container that runs sees that, too.
    void name_servers() {
        const std::string file = "/etc/resolv.conf";
        const std::string directory = linked_directory(file);
        if (!directory.empty()) {
            Mount& m = bind("files", directory, directory);
            m.read_only = true;
            m.missing = "skip";  // the file is shown then
        }
        Mount& m = bind("files", file, file);
        m.missing = "warn";
        m.replace_link = true;
        m.keep_link = !directory.empty();
        m.recursive = false;
    }

    // Where the link `file` leads to, if that is a directory of its own in /run which nothing else is mounted over; else "".
    std::string linked_directory(const std::string& file) const {
        char text[PATH_MAX];
        const ssize_t n = ::readlink(file.c_str(), text, sizeof text);
        if (n <= 0 || n == sizeof text) return {};
        std::string target(text, static_cast<size_t>(n));
        target = clean_path(target[0] == '/' ? target : "/etc/" + target);
        const std::string directory = target.substr(0, target.rfind('/'));
        struct stat s;
        if (!is_below(directory, "/run") || directory == "/run" || ::lstat(target.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return {};
        for (const auto& b : options_.binds)
            if (is_below(directory, clean_path(b.destination))) return {};
        for (const auto& path : options_.scratch)
            if (is_below(directory, clean_path(path))) return {};
        return directory;
    }

    // Something of the container itself can be changed.
    bool writable() const {
        return options_.writable || options_.writable_tmpfs ||
               std::any_of(options_.overlays.begin(), options_.overlays.end(), [](const OverlayOption& o) { return !o.read_only; });
    }

    void files() {
        // Programs that add users put new files in the place of these two, which a mount would refuse.
        if (!(facts_.container_uid == 0 && writable())) {
            for (const auto& [key, name] : {std::pair{"files.passwd", "passwd"}, {"files.group", "group"}}) {
                if (!settings_.boolean(key) || off(std::string("/etc/") + name)) continue;
                generated(name, std::string("/etc/") + name);
                plan_.mounts.back().create = false;  // an image without the file stays without
                plan_.mounts.back().missing = "skip";
            }
        }
        if (!options_.dns.empty()) {
            std::string text;
            for (const auto& server : options_.dns) need_address(server);
            for (const auto& server : options_.dns) text += "nameserver " + server + "\n";
            generated("resolv.conf", "/etc/resolv.conf", text);
        } else if (settings_.boolean("files.resolv_conf") && !off("/etc/resolv.conf") && kind_of("/etc/resolv.conf") == Kind::file) {
            name_servers();
        }
        if (facts_.fakeroot && !facts_.fakeroot->command.empty())
            for (const auto& [source, name] : {std::pair{facts_.fakeroot->command, "fakeroot"}, {facts_.fakeroot->daemon, "faked"}, {facts_.fakeroot->library, "libfakeroot.so"}}) {
                Mount& m = bind("files", source, std::string("/.singularity.d/libs/") + name);
                m.read_only = true;
                m.missing = "warn";
            }
        if (options_.contain && options_.net && !off("bind-paths") && !off("/etc/hosts"))
            generated("hosts", "/etc/hosts", "127.0.0.1 localhost" + (options_.hostname.empty() ? "" : " " + options_.hostname) + "\n::1 localhost ip6-localhost ip6-loopback\n");
        need_host_name(options_.hostname);
        if (!options_.hostname.empty()) generated("hostname", "/etc/hostname", options_.hostname + "\n");
    }

    void host_files() {
        const HostFiles& host = options_.host_files;
        if (!host.libraries.empty()) {
            Mount& m = special("files", "files", "/.singularity.d/libs");
            m.sources = host.libraries;
            m.read_only = true;
        }
        for (const auto& f : host.files) {
            Mount& m = bind("files", f.source, f.destination);
            m.read_only = f.read_only;
            m.directory = f.directory;
            m.recursive = f.directory;
            m.missing = "warn";
            m.no_dev = !is_below(f.source, "/dev");
        }
    }

    void user_binds() {
        std::vector<std::string> seen;
        uint32_t next_image = facts_.first_data_image;
        for (const auto& b : options_.binds) {
            if (!settings_.boolean("bind.user")) {
                plan_.warnings.push_back("Ignoring user bind request: " + settings_.origin("bind.user").where + " has bind.user no");
                return;
            }
            const std::string source = absolute(b.source);
            if (own_dev() && is_device_bind(b)) continue;
            if (b.destination.empty() || (b.destination != b.source && b.destination[0] != '/'))
                throw Error(Code::usage, "bind " + b.source + ":" + b.destination + ": the destination must be absolute");
            const std::string destination = b.destination == b.source ? source : clean_path(b.destination);
            if (std::find(seen.begin(), seen.end(), destination) != seen.end()) {
                plan_.warnings.push_back("destination " + destination + " is already bound, ignoring " + source);
                next_image += b.of_image;
                continue;
            }
            if (kind_of(source) == Kind::absent)
                throw Error(Code::not_found, "while mounting " + source + " on " + destination + ": mount source " + source + " doesn't exist");
            if (destination == "/") throw Error(Code::invalid, "bind " + source + ": / of the container cannot be replaced");
            seen.push_back(destination);
            if (b.of_image) {
                Mount& m = special("userbinds", "image", destination);
                m.source = clean_path(b.image_path);
                m.image = next_image++;
                m.read_only = b.read_only;
                m.directory = b.image_directory;
                m.recursive = false;
                continue;
            }
            Mount& m = bind("userbinds", source, destination);
            m.read_only = b.read_only;
            m.no_dev = !is_below(source, "/dev");
        }
    }

    void fuse_mounts() {
        for (const auto& f : options_.fuse_mounts) {
            need_user_control("--fusemount");
            Mount& m = special("fuse", "fuse", clean_path(f.destination));
            m.command = f.command;
            m.in_container = f.in_container;
            m.daemon = f.daemon;
            m.recursive = false;
        }
    }

    void current_directory() {
        static constexpr std::string_view never[] = {"/", "/etc", "/bin", "/mnt", "/usr", "/var", "/opt", "/sbin", "/lib", "/lib64"};
        const std::string& cwd = facts_.cwd;
        plan_.cwd_required = options_.cwd.has_value();
        plan_.cwd = options_.cwd ? *options_.cwd : options_.contain || cwd.empty() ? plan_.home.destination : cwd;
        if (plan_.cwd.empty() || plan_.cwd[0] != '/') plan_.cwd = "/" + plan_.cwd;
        if (cwd.empty() || options_.contain || off("cwd") || !settings_.boolean("bind.user")) return;
        if (std::find(std::begin(never), std::end(never), cwd) != std::end(never)) return;
        for (const std::string_view top : {"/sys", "/proc", "/dev"})
            if (is_below(cwd, top)) return;
        // What was put in its place on purpose (--bind DIR:HERE, --home DIR:HERE, --scratch HERE) stays to be seen.
        for (const auto& m : plan_.mounts)
            if (m.destination == cwd && (m.type != "bind" || m.source != cwd)) return;
        // Most directories are there already, by the home's or /tmp's mount.
        for (const auto& m : plan_.mounts)
            if (m.type == "bind" && m.source == m.destination && m.recursive && m.source != "/" && is_below(cwd, m.source)) {
                bool hidden = false;  // by a later mount between the two
                for (const Mount* later = &m + 1; later != plan_.mounts.data() + plan_.mounts.size(); ++later)
                    hidden = hidden || (is_below(cwd, later->destination) && later->source != later->destination);
                if (!hidden) return;
            }
        Mount& m = bind("cwd", cwd, cwd);
        m.unless_same = true;
        m.missing = "warn";
    }

    static constexpr std::string_view hidden_[] = {"/proc", "/sys", "/dev", "/run", "/boot", "/var"};

    const LaunchOptions& options_;
    const Settings& settings_;
    const MountFacts& facts_;
    MountPlan plan_;
};

}  // namespace

MountPlan plan_mounts(const LaunchOptions& options, const Settings& settings, const MountFacts& facts) {
    return Planner(options, settings, facts).make();
}

}  // namespace sg::runtime
