#include "hub/builder/job.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <singularity/error.hpp>
#include <vector>

#include "hub/builder/process.hpp"

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

constexpr const char* job_script = R"sh(#!/bin/sh
cd "$1" || exit 1
. ./settings
umask 022
say() { echo "$*" >&2; }

build() {
    # A limit on processes counts for all of this user; inside it counts again.
    set -- prlimit --core=0 --nproc=$((processes + 1024)) --fsize="$disk" \
        unshare $user_namespace --mount --pid --fork --kill-child --mount-proc --net --ipc --uts
    env -i PATH="$PATH" LC_ALL=C.UTF-8 HOME="$PWD/home" "$@" sh "$PWD/inside.sh" "$PWD" &
    pid=$!
    slirp=
    if [ "$network" = internet ]; then
        until [ -e unshared ] || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
        slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=3 $pid tap0 3>network >slirp.log 2>&1 &
        slirp=$!
        until [ -s network ] || ! kill -0 $pid 2>/dev/null; do
            kill -0 $slirp 2>/dev/null || {
                say "ERROR:   the builder has no network: slirp4netns failed: $(cat slirp.log)"
                kill $pid
                break
            }
            sleep 0.02
        done
    fi
    wait $pid
    status=$?
    [ -z "$slirp" ] || { kill $slirp && wait $slirp; } 2>/dev/null
    return $status
}

# No byte of the log is written by what is inside: it has a pipe, and what is too much of it is dropped.
{
    build
    echo $? >status.new
} 2>&1 | {
    trap '' XFSZ
    prlimit --fsize="$log_bytes" cat 2>/dev/null || {
        echo
        echo "WARNING: the log is longer than $log_bytes bytes: the rest is left out"
        cat >/dev/null
    }
} >>log
mv status.new status
)sh";

constexpr const char* inside_script = R"sh(cd "$1" || exit 1
. ./settings
trap 'exit 137' TERM
mapping=
if [ "$subordinate_ids" = yes ]; then
    # The ids that this namespace has, in the words of the namespace.
    mount --bind subordinate_ids /etc/subuid && mount --bind subordinate_ids /etc/subgid || exit 1
    mapping=--fakeroot
fi
: >unshared
[ "$network" = none ] || until [ -s network ]; do sleep 0.02; done

fuse=
[ ! -e /dev/fuse ] || fuse="--bind /dev/fuse"
prlimit --nproc="$processes" ${address_space:+--as="$address_space"} "$program" exec $mapping --containall --no-home \
    --no-mount tmp,cwd,sys,bind-paths --overlay "$PWD/root" --bind "$PWD/work:/build" --bind "$PWD/resolv.conf:/etc/resolv.conf" $fuse ${context:+--bind "$context:/context:ro"} \
    --pwd /build "$image" /bin/sh /build/container.sh &
container=$!

over() {
    trap - EXIT
    echo "ERROR:   $*" >&2
    kill -TERM $$
    exit 1
}
# A shell that may make no process ends, and so does the build.
(
    trap 'over "the build ended: it had all of the $processes processes that it may have"' EXIT
    end=$(($(date +%s) + seconds))
    while sleep 1; do
        [ "$(date +%s)" -lt $end ] || over "the build ended: it took longer than $seconds seconds"
        used=$(cat /proc/[0-9]*/statm 2>/dev/null | awk '{ pages += $2 - $3 } END { printf "%d", pages * '"$page"' / 1048576 }')
        [ "${used:-0}" -le $((memory / 1048576)) ] || over "the build ended: it had more than $((memory / 1048576)) MiB of memory"
        free=$(awk '/^MemTotal/ { all = $2 } /^MemAvailable/ { free = $2 } END { printf "%d", 100 * free / all }' /proc/meminfo)
        [ "${free:-100}" -ge 3 ] || over "the build ended: the machine has no memory left"
        free=$(stat -f -c '%a %S' . | awk '{ printf "%d", $1 * $2 / 1048576 }')
        [ "${free:-1024}" -ge 256 ] || over "the build ended: the builder's disk is full"
    done
) &
(
    trap 'over "the build ended: it had all of the $processes processes that it may have"' EXIT
    while sleep 1; do
        used=$(du -skx work root | awk '{ all += $1 } END { printf "%d", all }')
        [ "${used:-0}" -le $((disk / 1024)) ] || over "the build ended: it had more than $((disk / 1048576)) MiB on the disk"
    done
) &
wait $container
exit $?
)sh";

constexpr const char* container_script =
    R"sh(export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root TMPDIR=/build/tmp LC_ALL=C.UTF-8
export SINGULARITY_TMPDIR=/build/tmp SINGULARITY_CACHEDIR=/build/cache
umask 022
if [ "$subordinate_ids" = yes ]; then
    echo root:1:65536 >/etc/subuid
    echo root:1:65536 >/etc/subgid
fi
if [ -e /context ]; then
    tar -xzf /context -C / || exit 1
fi
mkdir -p "$directory" && cd "$directory" || exit 1
exec singularity build /build/image.sif /build/definition
)sh";

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
    for (const char* name : {"/work", "/work/tmp", "/work/cache", "/root", "/home"}) make(path_ + name, 0755);
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
    write_file(path_ + "/work/container.sh",
               "subordinate_ids=" + ids + " directory=" + quoted(input.directory.empty() ? "/build" : input.directory) +
                   "\n" + container_script);
    write_file(path_ + "/work/definition", input.definition);
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
    const std::string name = path_ + "/work/image.sif";
    File file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat s {};
    if (file && (::fstat(file.fd(), &s) != 0 || !S_ISREG(s.st_mode))) return File();
    return file;
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
