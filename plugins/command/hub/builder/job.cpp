#include "hub/builder/job.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <singularity/error.hpp>
#include <vector>

#include "hub/builder/process.hpp"
#include "hub/builder/scripts.hpp"

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

[[noreturn]] void fail(const std::string& what, const std::string& path) {
    const int e = errno;
    throw Error(e == ENOSPC || e == EDQUOT ? Code::no_space : Code::io,
                "cannot " + what + " '" + path + "': " + std::strerror(e))
        .because(e);
}

void write_file(const std::string& path, const std::string& text, mode_t mode = 0644) {
    const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file) fail("make", path);
    ::fchmod(file.fd(), mode);
    for (size_t at = 0; at < text.size();) {
        const ssize_t n = ::write(file.fd(), text.data() + at, text.size() - at);
        if (n < 0) fail("write", path);
        at += static_cast<size_t>(n);
    }
}

void make(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) fail("make", path);
    ::chmod(path.c_str(), mode);
}

}  // namespace

JobDirectory::JobDirectory(const BuilderOptions& options, const std::string& id)
    : options_(options), path_(options.directory + "/" + id) {}

void JobDirectory::prepare(const JobInput& input) {
    make(options_.directory, 0700);
    make(path_, 0700);
    for (const char* name : {"/build", "/build/tmp", "/build/cache", "/root", "/home"}) make(path_ + name, 0755);
    std::string settings;
    const auto set = [&](const char* name, const std::string& value) {
        settings += std::string(name) + "=" + quoted(value) + "\n";
    };
    const std::string network = options_.internet ? "internet" : "none",
                      ids = options_.subordinate_ids() ? "yes" : "no";
    set("program", options_.program);
    set("image", options_.image);
    set("network", network);
    set("subordinate_ids", ids);
    std::string words;
    for (const auto& word : options_.user_namespace()) words += word + " ";
    set("user_namespace", words);
    set("context", input.context.empty() ? "" : path_ + "/context");
    set("processes", std::to_string(options_.processes));
    set("memory", std::to_string(options_.memory));
    // Programs reserve more than they use; the watch counts what they use, once a second.
    set("address_space", std::to_string(options_.memory + (int64_t{2} << 30)));
    set("disk", std::to_string(options_.disk));
    set("seconds", std::to_string(options_.seconds));
    set("log_bytes", std::to_string(64 << 20));
    set("page", std::to_string(::sysconf(_SC_PAGESIZE)));
    write_file(path_ + "/settings", settings);
    write_file(path_ + "/subordinate_ids", "root:1:65536\n");
    write_file(path_ + "/resolv.conf",
               options_.internet ? "nameserver 10.0.2.3\n" : "");  // slirp4netns(1), not the host's
    write_file(path_ + "/job.sh", job_script, 0755);
    write_file(path_ + "/inside.sh", inside_script);
    write_file(path_ + "/build/container.sh",
               "subordinate_ids=" + ids + " directory=" + quoted(input.directory.empty() ? "/build" : input.directory) +
                   "\n" + container_script);
    write_file(path_ + "/build/definition", input.definition);
    if (!input.context.empty() && ::link(input.context.c_str(), (path_ + "/context").c_str()) != 0) {
        if (errno != EXDEV && errno != EPERM && errno != EMLINK) fail("take over", input.context);
        const auto ran = run_program({"cp", "--", input.context, path_ + "/context"}, 600);
        if (ran.status != 0) throw Error(Code::io, "cannot copy the build context: " + ran.out);
    }
}

std::optional<int> JobDirectory::status() const {
    std::ifstream in(path_ + "/status");
    int status = 0;
    if (!(in >> status)) return std::nullopt;
    return status;
}

File JobDirectory::result() const {
    const std::string name = path_ + "/build/image.sif";
    File file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat s {};
    if (file && (::fstat(file.fd(), &s) != 0 || !S_ISREG(s.st_mode))) return File();
    return file;
}

bool JobDirectory::no_room() const {
    struct statvfs s {};
    return ::statvfs(path_.c_str(), &s) == 0 &&
           (s.f_bavail * s.f_frsize < (1 << 20) || (s.f_files > 0 && s.f_favail == 0));
}

void JobDirectory::say(const std::string& line) const {
    const File file(::open(log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string text = line + "\n";
    if (file) (void)!::write(file.fd(), text.data(), text.size());
}

void JobDirectory::remove_trees(const std::vector<std::string>& paths) const {
    auto words = options_.user_namespace();
    words.insert(words.begin(), "unshare");
    words.insert(words.end(), {"rm", "-rf", "--"});
    words.insert(words.end(), paths.begin(), paths.end());
    // What was killed may still write for a moment.
    for (int i = 0; i < 20; ++i) {
        struct stat s {};
        if (std::none_of(paths.begin(), paths.end(), [&](const auto& p) { return ::lstat(p.c_str(), &s) == 0; })) break;
        if (i > 0) ::usleep(100000);
        run_program(words, 600);
    }
}

void JobDirectory::clean() const {
    std::vector<std::string> paths;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(path_, none))
        if (entry.path().filename() != "log") paths.push_back(entry.path());
    remove_trees(paths);
}

void JobDirectory::remove() const { remove_trees({path_}); }

}  // namespace hub
