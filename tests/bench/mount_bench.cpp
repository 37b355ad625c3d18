// Runs a command over an image that the host's FUSE server shows, and prints what it took.
//
//     mount_bench PLUGIN.so FORMAT IMAGE TARGET COMMAND [ARG...]
//
// With MOUNT_BENCH_ROOT in the environment the command runs with the mount as its root directory.
// As an ordinary user who may open /dev/fuse, or as root. The plugin is loaded over the C boundary, as the
// host loads it. One line on stdout: wall seconds of the command, CPU seconds of command and server, the
// milliseconds of prepare and attach, the server's peak memory in MiB, and how often it asked the reader.
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <singularity/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "mount/service.hpp"

namespace {

double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double cpu(const rusage& r) {
    const auto s = [](timeval t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
    return s(r.ru_utime) + s(r.ru_stime);
}

[[noreturn]] void die(const char* what, const char* why = "") {
    std::fprintf(stderr, "mount_bench: %s %s\n", what, why);
    _exit(99);
}

void put(const char* path, const std::string& text) {
    const int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text.data(), text.size()) < 0) die("cannot write", path);
    close(fd);
}

// The reader's table with a counter before some functions; the counters lie in memory that the server shares.
struct Counters {
    std::atomic<uint64_t> read, stat, lookup, list, block;
};
Counters* counters;
const sg_root_v1* counted;

sg_root_v1 counting(const sg_root_v1* table) {
    void* p = mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("no memory");
    counters = new (p) Counters{};
    counted = table;
    sg_root_v1 out = *table;
    constexpr auto relaxed = std::memory_order_relaxed;
    out.read = [](sg_root* self, uint64_t node, uint64_t offset, void* data, uint64_t capacity, uint64_t* got,
                  sg_error* err) {
        counters->read.fetch_add(1, relaxed);
        return counted->read(self, node, offset, data, capacity, got, err);
    };
    out.stat = [](sg_root* self, uint64_t node, sg_attr* attr, sg_error* err) {
        counters->stat.fetch_add(1, relaxed);
        return counted->stat(self, node, attr, err);
    };
    out.lookup = [](sg_root* self, uint64_t dir, const char* name, uint64_t length, uint64_t* node, sg_error* err) {
        counters->lookup.fetch_add(1, relaxed);
        return counted->lookup(self, dir, name, length, node, err);
    };
    out.list = [](sg_root* self, uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg, sg_error* err) {
        counters->list.fetch_add(1, relaxed);
        return counted->list(self, dir, cursor, visit, arg, err);
    };
    out.block = [](sg_root* self, uint64_t node, uint64_t offset, sg_slice* slice, sg_error* err) {
        counters->block.fetch_add(1, relaxed);
        return counted->block(self, node, offset, slice, err);
    };
    return out;
}

struct Report {
    double wall = 0, command_cpu = 0, prepare = 0, attach = 0;
    int status = 0;
};

Report run(const sg_root_v1* table, sg_root* root, const char* target, char** command) {
    Report report;
    sg_error err{};
    const sg_mount_view view{};
    void* server = nullptr;
    if (geteuid() != 0) {
        const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
        if (unshare(CLONE_NEWUSER) != 0) die("no user namespace");
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", uid + " " + uid + " 1");
        put("/proc/self/gid_map", gid + " " + gid + " 1");
    }
    double from = now();
    if (sg::mount_service()->prepare(table, root, &view, &server, &err) != SG_OK) die(err.message, err.hint);
    report.prepare = now() - from;
    if (unshare(CLONE_NEWNS) != 0) die("no mount namespace");
    from = now();
    if (sg::mount_service()->attach(server, target, &err) != SG_OK) die(err.message, err.hint);
    report.attach = now() - from;
    from = now();
    const pid_t pid = fork();
    if (pid == 0) {
        if (getenv("MOUNT_BENCH_ROOT") && (chroot(target) != 0 || chdir("/") != 0)) die("cannot enter", target);
        execvp(command[0], command);
        die("cannot run", command[0]);
    }
    rusage usage;
    wait4(pid, &report.status, 0, &usage);
    report.wall = now() - from;
    report.command_cpu = cpu(usage);
    return report;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) die("usage: mount_bench PLUGIN.so FORMAT IMAGE TARGET COMMAND [ARG...]");
    void* object = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!object) die("cannot load", dlerror());
    using Entry = const sg_plugin* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(object, "singularity_plugin"));
    if (!entry) die("no plugin:", argv[1]);
    static const sg_host host = {SG_ABI_VERSION, "0",
                                 [](const sg_host*, const char*, uint32_t) -> const void* { return nullptr; }};
    sg_error err{};
    if (entry()->start && entry()->start(&host, &err) != SG_OK) die(err.message);
    const auto* format = static_cast<const sg_format_v1*>(entry()->table(argv[2], "format", 1));
    sg_image_file* image = nullptr;
    const sg_root_v1* table = nullptr;
    sg_root* root = nullptr;
    if (!format || format->open(argv[3], 0, &image, &err) != SG_OK) die("cannot open:", err.message);
    if (format->root(image, &table, &root, &err) != SG_OK) die("cannot read:", err.message);

    static const sg_root_v1 counting_table = counting(table);
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) die("pipe");
    prctl(PR_SET_CHILD_SUBREAPER, 1);  // the server becomes a child of this process, so its CPU time is known
    const pid_t pid = fork();
    if (pid == 0) {
        const Report report = run(&counting_table, root, argv[4], argv + 5);
        if (write(pipes[1], &report, sizeof report) != sizeof report) die("pipe");
        _exit(0);
    }
    close(pipes[1]);
    double server_cpu = 0;
    long peak = 0;
    int status;
    rusage usage;
    for (pid_t ended; (ended = wait4(-1, &status, 0, &usage)) > 0;)
        if (ended != pid) {
            server_cpu += cpu(usage);
            peak = usage.ru_maxrss / 1024;
        }
    Report report;
    if (read(pipes[0], &report, sizeof report) != sizeof report) return 99;
    std::printf("wall %.4f command_cpu %.4f server_cpu %.4f prepare_ms %.3f attach_ms %.3f server_mib %ld", report.wall,
                report.command_cpu, server_cpu, report.prepare * 1e3, report.attach * 1e3, peak);
    const auto count = [](const char* name, const std::atomic<uint64_t>& n) {
        std::printf(" %s %llu", name, static_cast<unsigned long long>(n.load()));
    };
    count("read", counters->read);
    count("stat", counters->stat);
    count("lookup", counters->lookup);
    count("list", counters->list);
    count("block", counters->block);
    std::printf("\n");
    return WIFEXITED(report.status) ? WEXITSTATUS(report.status) : 98;
}
