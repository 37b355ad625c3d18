#include "build/overlay_file.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "plugin/temporary.hpp"
#include "store/output.hpp"

namespace sg::build {
namespace {

constexpr int64_t least_mebibytes = 8, most_mebibytes = int64_t{16} << 20;  // ext3 ends at 16 TiB

std::string find_program(const std::string& name) {
    std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    if (const char* own = std::getenv("PATH"); own && *own) path = std::string(own) + ":" + path;
    for (size_t at = 0; at <= path.size();) {
        const size_t end = std::min(path.find(':', at), path.size());
        const std::string file = path.substr(at, end - at) + "/" + name;
        if (file[0] == '/' && ::access(file.c_str(), X_OK) == 0) return file;
        at = end + 1;
    }
    return {};
}

bool write_text(const char* path, const std::string& text) {
    const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Who runs it is root for the program, so that what it copies belongs to root.
bool become_root_of_a_namespace() {
    const auto uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
    return ::unshare(CLONE_NEWUSER) == 0 && write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", "0 " + uid + " 1") &&
           write_text("/proc/self/gid_map", "0 " + gid + " 1");
}

// What it says goes to `messages`; the file is its descriptor 3.
void run_program(std::vector<std::string> words, int file, bool as_root, const std::string& what) {
    int messages[2];
    if (::pipe2(messages, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    UniqueFd reader(messages[0]), writer(messages[1]);
    const pid_t child = ::fork();
    if (child < 0) throw_errno("cannot start", words[0]);
    if (child == 0) {
        ::dup2(writer.get(), 1);
        ::dup2(writer.get(), 2);
        if (::dup2(file, 3) == 3) (void)::fcntl(3, F_SETFD, 0);
        if (as_root && !become_root_of_a_namespace()) {
            ::dprintf(2, "cannot make a user namespace: %s\n", std::strerror(errno));
            ::_exit(126);
        }
        std::vector<char*> argv;
        for (auto& w : words) argv.push_back(w.data());
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    writer.reset();
    std::string said;
    char buffer[4096];
    ssize_t n;
    while ((n = ::read(reader.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && said.size() < 65536) said.append(buffer, static_cast<size_t>(n));
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!said.empty()) log::debug(words[0] + ": " + said);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    said.resize(std::min(said.find('\n'), said.size()));
    throw Error(Code::io, "cannot make the file system of " + what + ": " + (said.empty() ? words[0] + " failed" : said));
}

void make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) throw_errno("cannot create", path);
}

// Below a fresh directory: upper/, work/ and what was asked for.
void make_skeleton(const std::string& top, const std::vector<std::string>& directories) {
    make_directory(top + "/upper");
    make_directory(top + "/work");
    for (const auto& d : directories) {
        if (d.empty() || d[0] != '/' || (d + "/").find("/../") != std::string::npos)
            throw Error(Code::usage, "--create-dir " + d + ": not an absolute path", "the form is --create-dir /opt/data");
        for (size_t at = 1; at <= d.size();) {
            const size_t end = std::min(d.find('/', at), d.size());
            if (end > at) make_directory(top + "/upper" + d.substr(0, end));
            at = end + 1;
        }
    }
}

void make_file_system(const OverlayFile& what, int file, const std::string& skeleton) {
    const std::string program = find_program("mke2fs");
    if (program.empty())
        throw Error(Code::unsupported, "cannot make the file system of " + what.path + ": there is no program mke2fs",
                    "an administrator can install it: apt-get install e2fsprogs (dnf install e2fsprogs); a directory serves as overlay too");
    const off_t bytes = static_cast<off_t>(what.mebibytes) << 20;
    if (const int e = what.sparse ? (::ftruncate(file, bytes) == 0 ? 0 : errno) : ::posix_fallocate(file, 0, bytes))
        throw system_error(e, "cannot make a file of " + std::to_string(what.mebibytes) + " MiB for", what.path);
    const bool root = ::geteuid() == 0;
    const std::string owner = what.for_root || root ? "0:0" : std::to_string(::geteuid()) + ":" + std::to_string(::getegid());
    // "nodiscard": it would punch holes into what was allocated.
    run_program({program, "-q", "-F", "-j", "-m", "0", "-E", std::string(what.sparse ? "" : "nodiscard,") + "root_owner=" + owner, "-d", skeleton, "/proc/self/fd/3"}, file,
                what.for_root && !root, what.path);
}

class FileStream final : public singularity::Stream {
public:
    explicit FileStream(int fd) : fd_(fd) {}
    singularity::Slice next() override {
        ssize_t n;
        do n = ::pread(fd_, buffer_, sizeof buffer_, offset_);
        while (n < 0 && errno == EINTR);
        if (n < 0) throw Error(Code::io, std::string("cannot read the new file system: ") + std::strerror(errno));
        offset_ += n;
        return n == 0 ? singularity::Slice() : singularity::Slice::borrowed(buffer_, static_cast<size_t>(n));
    }

private:
    int fd_;
    off_t offset_ = 0;
    char buffer_[1 << 18];
};

void check_parts(const OpenedImage& image) {
    const FormatEntry& format = image.format();
    if (!format.parts) throw Error(Code::invalid, image.path() + " is there already, and is no image that takes an overlay", "name a file that is not there yet");
    for (uint64_t i = 0, n = format.parts->count(image.file()); i < n; ++i) {
        sg_part part{};
        singularity::check([&](sg_error* e) { return format.parts->get(image.file(), i, &part, e); });
        if (std::string_view(part.type) == "signature")
            throw Error(Code::invalid, image.path() + " is signed: with an overlay in it, what its signature covers would no longer be all that runs", "make the overlay a file of its own");
        for (const sg_pair* a = part.attributes; a && a->key; ++a)
            if (std::string_view(part.type) == "partition" && std::string_view(a->key) == "part" && std::string_view(a->value) == "Overlay")
                throw Error(Code::invalid, image.path() + " has an overlay already: its object " + std::to_string(part.id), "'singularity exec --writable' writes to it");
    }
}

void add_to_image(const OverlayFile& what, OpenedImage& image, Temporary& temporary, const std::string& skeleton, const sg_call& call) {
    check_parts(image);
    const UniqueFd file = temporary.file();
    make_file_system(what, file.get(), skeleton);
    const std::string arch = image.info().arch;
    const sg_pair attributes[] = {{"fs", "Ext3"}, {"part", "Overlay"}, {"arch", arch.c_str()}, {nullptr, nullptr}};
    sg_part_spec spec{};
    spec.type = "partition";
    spec.name = "overlay";
    spec.group = 1;
    spec.attributes = attributes;
    spec.time = INT64_MIN;
    uint64_t id = 0;
    singularity::check([&](sg_error* e) {
        return image.format().parts->add(image.file(), &spec, singularity::to_c(std::make_unique<FileStream>(file.get())), &call, &id, e);
    });
}

}  // namespace

void create_overlay(const OverlayFile& what, PluginHost& plugins, const sg_call& call) {
    if (what.mebibytes < least_mebibytes || what.mebibytes > most_mebibytes)
        throw Error(Code::usage, "--size " + std::to_string(what.mebibytes) + ": must be from " + std::to_string(least_mebibytes) + " to " + std::to_string(most_mebibytes) + " MiB");
    const std::string directory = plugins.settings().text("tmpdir");
    Temporary temporary(directory.empty() ? "/tmp" : directory);
    const std::string skeleton = temporary.directory();
    (void)!::chmod(skeleton.c_str(), 0755);
    make_skeleton(skeleton, what.directories);
    if (::access(what.path.c_str(), F_OK) == 0) {
        OpenedImage image = plugins.open_image(what.path, true);
        add_to_image(what, image, temporary, skeleton, call);
        return;
    }
    OutputFile output(what.path);
    make_file_system(what, output.fd(), skeleton);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    (void)!::fchmod(output.fd(), 0644 & ~mask);
    output.commit();
}

}  // namespace sg::build
