#include "runtime/instances.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <singularity/text.hpp>

#include "base/error.hpp"
#include "runtime/base64.hpp"

namespace sg::runtime {
namespace {

constexpr size_t state_limit = 16u << 20;

std::string host_name() {
    char text[256] = {};
    if (::gethostname(text, sizeof text - 1) != 0 || !*text || std::string_view(text).find('/') != std::string_view::npos) return "localhost";
    return text;
}

// 0700 each: what an instance is told belongs to its user.
void make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR && ::access(part.c_str(), F_OK) != 0)
            throw_errno("cannot create the directory", part);
        if (slash == std::string::npos) return;
    }
}

std::string lock_in(const std::string& directory) { return directory + "/lock"; }

// The lock of a directory: a record lock, which no process inherits and the kernel lets go with its owner. Empty when
// another process has it, or the directory is gone.
UniqueFd try_lock(const std::string& directory) {
    const std::string path = lock_in(directory);
    for (;;) {
        UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd) {
            if (errno == ENOENT) return {};
            throw_errno("cannot open", path);
        }
        struct flock whole {};
        whole.l_type = F_WRLCK;
        if (::fcntl(fd.get(), F_SETLK, &whole) != 0) {
            if (errno == EACCES || errno == EAGAIN) return {};
            if (errno != ENOLCK && errno != EINVAL) throw_errno("cannot lock", path);  // a file system without locks
        }
        struct stat opened, named;
        if (::fstat(fd.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino) return fd;
        // Somebody took the directory away between the two.
    }
}

// Everything of a dead one; its lock is held.
void clear(const std::string& directory) {
    if (DIR* dir = ::opendir(directory.c_str())) {
        while (const dirent* e = ::readdir(dir)) {
            const std::string name = e->d_name;
            if (name != "." && name != ".." && name != "lock") ::unlinkat(::dirfd(dir), e->d_name, 0);
        }
        ::closedir(dir);
    }
    ::unlink(lock_in(directory).c_str());
    ::rmdir(directory.c_str());
}

std::string text(const rapidjson::Value& o, const char* name) {
    const auto it = o.FindMember(name);
    return it != o.MemberEnd() && it->value.IsString() ? std::string(it->value.GetString(), it->value.GetStringLength()) : std::string();
}

std::optional<std::string> read_small(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return {};
    std::string out;
    char buffer[16384];
    ssize_t n = 0;
    while ((n = ::read(fd.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) out.append(buffer, static_cast<size_t>(n));
        if (out.size() > state_limit) return {};
    }
    if (n < 0) return {};
    return out;
}

}  // namespace

Reservation::~Reservation() {
    if (lock_ && !kept_) clear(directory_);
}

Instances::Instances(const std::string& home, const std::string& user) : user_(user) {
    const std::string base = (home == "/" ? "" : home) + "/.singularity/instances", tail = "/" + host_name() + "/" + user;
    top_ = base + "/sing" + tail;
    logs_ = base + "/logs" + tail;
}

void Instances::check_name(const std::string& name) {
    const bool fits = !name.empty() && name.size() <= 200 && name != "." && name != ".." && name != "lock" &&
                      std::all_of(name.begin(), name.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
                      });
    if (!fits) throw Error(Code::usage, "'" + name + "' is no name for an instance", "a name is made of letters, digits, '.', '_' and '-', at most 200 of them");
}

std::string Instances::log_path(const std::string& name, const char* ending) const { return logs_ + "/" + name + ending; }

std::optional<Instance> Instances::read(const std::string& name) const {
    Instance out;
    out.directory = top_ + "/" + name;
    const auto content = read_small(out.directory + "/" + name + ".json");
    if (!content) return {};
    rapidjson::Document d;
    d.Parse(content->data(), content->size());
    if (d.HasParseError() || !d.IsObject()) return {};
    const auto number = [&](const char* key) { return d.HasMember(key) && d[key].IsInt() ? d[key].GetInt() : 0; };
    const auto flag = [&](const char* key) { return d.HasMember(key) && d[key].IsBool() && d[key].GetBool(); };
    out.name = name;
    out.user = text(d, "user");
    out.image = text(d, "image");
    out.ip = text(d, "ip");
    out.log_err = text(d, "logErrPath");
    out.log_out = text(d, "logOutPath");
    out.launcher = text(d, "launcher");
    out.cgroup = text(d, "cgroupPath");
    out.user_namespace = flag("userns");
    out.pid = number("pid");
    if (out.launcher.empty() && !foreign_instance_lives(number("ppid"))) return {};
    if (!out.launcher.empty()) out.config = from_base64(text(d, "config"));
    return out;
}

Reservation Instances::reserve(const std::string& name, const Launchers& launchers) const {
    check_name(name);
    const std::string directory = top_ + "/" + name;
    make_directories(logs_);
    for (int tries = 0; tries < 100; ++tries) {
        make_directories(directory);
        UniqueFd lock = try_lock(directory);
        if (!lock) {
            if (::access(directory.c_str(), F_OK) != 0) continue;
            throw Error(Code::exists, "instance " + name + " already exists", "it is being started by another process");
        }
        const auto known = read(name);
        if (known && launchers.runs(*known)) throw Error(Code::exists, "instance " + name + " already exists", "'singularity instance stop " + name + "' ends it");
        if (known) launchers.forget(*known);
        return {directory, std::move(lock)};
    }
    throw Error(Code::io, "cannot take the instance's directory " + directory);
}

void Instances::write(const Instance& i) const {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    const auto member = [&](const char* key, const std::string& value) { w.Key(key), w.String(value); };
    w.StartObject();
    w.Key("pid"), w.Int(i.pid);
    w.Key("ppid"), w.Int(i.pid);  // the first process looks after itself
    member("name", i.name);
    member("user", i.user);
    member("image", i.image);
    member("config", singularity::base64(i.config));
    w.Key("userns"), w.Bool(i.user_namespace);
    w.Key("cgroup"), w.Bool(!i.cgroup.empty());
    member("ip", i.ip);
    member("logErrPath", i.log_err);
    member("logOutPath", i.log_out);
    member("checkpoint", "");
    w.Key("sharensMode"), w.Bool(false);
    member("launcher", i.launcher);
    member("cgroupPath", i.cgroup);
    w.EndObject();
    const std::string path = i.directory + "/" + i.name + ".json", part = path + ".part";
    UniqueFd fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) throw_errno("cannot write", part);
    const char* at = buffer.GetString();
    for (size_t left = buffer.GetSize(); left > 0;) {
        const ssize_t n = ::write(fd.get(), at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw_errno("cannot write", part);
        at += n;
        left -= static_cast<size_t>(n);
    }
    if (::rename(part.c_str(), path.c_str()) != 0) throw_errno("cannot write", path);
}

std::vector<Instance> Instances::list(const std::string& pattern, const Launchers& launchers) const {
    std::vector<std::string> names;
    if (DIR* dir = ::opendir(top_.c_str())) {
        while (const dirent* e = ::readdir(dir)) {
            const std::string name = e->d_name;
            if (name[0] != '.' && (pattern.empty() || ::fnmatch(pattern.c_str(), e->d_name, 0) == 0)) names.push_back(name);
        }
        ::closedir(dir);
    } else if (errno != ENOENT) {
        throw_errno("cannot read the instances in", top_);
    }
    std::sort(names.begin(), names.end());
    std::vector<Instance> out;
    for (const auto& name : names)
        if (auto one = find(name, launchers)) out.push_back(std::move(*one));
    return out;
}

std::optional<Instance> Instances::find(const std::string& name, const Launchers& launchers) const {
    auto known = read(name);
    if (known && launchers.runs(*known)) return known;
    const std::string directory = top_ + "/" + name;
    if (::access(directory.c_str(), W_OK) != 0) return {};
    const UniqueFd lock = try_lock(directory);
    if (!lock) return {};  // it is being started
    known = read(name);    // once more, as it may have been written meanwhile
    if (known && launchers.runs(*known)) return known;
    if (known) launchers.forget(*known);
    clear(directory);
    return {};
}

bool foreign_instance_lives(int supervisor) {
    if (supervisor < 1) return false;
    const auto line = read_small("/proc/" + std::to_string(supervisor) + "/cmdline");
    if (!line) return false;
    for (const char* product : {"Singularity", "Apptainer"})
        if (line->starts_with(std::string(product) + " instance: ")) return true;
    return false;
}

}  // namespace sg::runtime
