#include "support.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace metadata_test {

struct Recorder::Calls {
    static Recorder& of(sg_writer* w) { return *reinterpret_cast<Recorder*>(w); }
    static const sg_writer_v1* table() {
        static const sg_writer_v1 t = {
            [](sg_writer*, const char*, const char*, const void*, uint64_t, sg_error*) -> int32_t { return SG_OK; },
            [](sg_writer* w, const char*, uint64_t size, sg_stream* data, const sg_call*, uint64_t* id, sg_error* err) {
                singularity::ForeignStream stream(data);
                return singularity::guard(err, [&] {
                    std::string bytes = singularity::read_all(stream, 1 << 24, "content");
                    if (bytes.size() != size)
                        throw singularity::Error(singularity::Code::internal, "the size was wrong");
                    *id = of(w).add(std::move(bytes));
                });
            },
            [](sg_writer*, const sg_root_v1*, sg_root*, uint64_t, uint64_t*, sg_error*) -> int32_t {
                return SG_EUNSUPPORTED;
            },
            [](sg_writer*, const sg_root_v1*, sg_root*, const sg_call*, sg_error*) -> int32_t { return SG_OK; },
            [](sg_writer*) {}};
        return &t;
    }
};

Recorder::Recorder() : writer_(Calls::table(), reinterpret_cast<sg_writer*>(this), nullptr) {}
Recorder::~Recorder() = default;

uint64_t Recorder::add(std::string bytes) {
    contents_.push_back(std::move(bytes));
    return contents_.size() - 1;
}

std::string text_of(const sg::Tree& tree, const Recorder& recorder, const std::string& path) {
    const auto attr = tree.find(path);
    if (!attr) return "<none>";
    if ((attr->mode & S_IFMT) != S_IFREG) return "<no file>";
    if (attr->content == SG_NO_CONTENT) return "";
    BOOST_TEST(attr->size == recorder.bytes(attr->content).size());
    return recorder.bytes(attr->content);
}

void put(sg::Tree& tree, Recorder& recorder, const std::string& path, std::string bytes, uint32_t mode) {
    const uint64_t size = bytes.size();
    tree.put_file(path, mode, 0, size, size == 0 ? SG_NO_CONTENT : recorder.add(std::move(bytes)));
}

Readable::Readable(sg::Tree& tree, const Recorder& recorder) : tree_(tree.view()), recorder_(recorder) {}

singularity::ForeignRoot Readable::foreign() {
    return {singularity::detail::root_table(false), reinterpret_cast<sg_root*>(&box_)};
}

void Readable::list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) {
    singularity::check([&](sg_error* e) { return tree_.table()->list(tree_.handle(), dir, cursor, visit, arg, e); });
}

uint64_t Readable::read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) {
    const sg_attr attr = tree_.stat(node);
    if (attr.content == SG_NO_CONTENT) return 0;
    const std::string& bytes = recorder_.bytes(attr.content);
    if (offset >= bytes.size()) return 0;
    const uint64_t n = std::min<uint64_t>(capacity, bytes.size() - offset);
    std::memcpy(data, bytes.data() + offset, n);
    return n;
}

sg::ImageConfig config_of(std::vector<std::string> entrypoint, std::vector<std::string> cmd,
                          std::vector<std::string> env) {
    sg::ImageConfig c;
    c.entrypoint = std::move(entrypoint), c.cmd = std::move(cmd), c.env = std::move(env);
    c.config = "{\"Env\":[]}";
    return c;
}

sg::BuildFacts facts_of(sg::ImageConfig config) {
    sg::BuildFacts f;
    f.header = {{"bootstrap", "oci"}, {"from", "lolcow"}};
    f.config = std::move(config);
    f.arch = "amd64", f.time = 1544117389, f.version = "4.0.0", f.deffile = "bootstrap: oci\nfrom: lolcow\n\n";
    return f;
}

const std::vector<std::vector<std::string>>& shells() {
    static const std::vector<std::vector<std::string>> found = [] {
        std::vector<std::vector<std::string>> out;
        const auto find = [](const std::string& name) -> std::string {
            for (const char* dir : {"/bin/", "/usr/bin/"})
                if (::access((dir + name).c_str(), X_OK) == 0) return dir + name;
            return "";
        };
        const auto add = [&](const std::string& name, std::vector<std::string> more) {
            const std::string path = find(name);
            if (path.empty()) {
                BOOST_TEST_MESSAGE("skipped: there is no " << name << " here");
                return;
            }
            std::vector<std::string> argv{path};
            argv.insert(argv.end(), more.begin(), more.end());
            out.push_back(argv);
        };
        add("sh", {}), add("dash", {}), add("bash", {}), add("bash", {"--posix"}), add("busybox", {"sh"});
        return out;
    }();
    return found;
}

Ran run(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment) {
    int out[2], err[2];
    BOOST_REQUIRE(::pipe(out) == 0);
    BOOST_REQUIRE(::pipe(err) == 0);
    std::vector<std::string> pairs;
    for (const auto& [k, v] : environment) pairs.push_back(k + "=" + v);
    std::vector<char*> args, env;
    for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
    for (const auto& p : pairs) env.push_back(const_cast<char*>(p.c_str()));
    args.push_back(nullptr), env.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int null = ::open("/dev/null", O_RDONLY);
        ::dup2(null, 0), ::dup2(out[1], 1), ::dup2(err[1], 2);
        for (const int fd : {null, out[0], out[1], err[0], err[1]}) ::close(fd);
        ::execve(args[0], args.data(), env.data());
        ::_exit(127);
    }
    ::close(out[1]), ::close(err[1]);
    Ran ran;
    // Scripts write little to stderr: it fits into the pipe while stdout is read.
    for (const auto& [fd, to] : {std::pair<int, std::string*>{out[0], &ran.out}, {err[0], &ran.error}}) {
        char buffer[4096];
        for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) to->append(buffer, static_cast<size_t>(n));
        ::close(fd);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
}

Folder::Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "metadata-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    path_ = name;
}
Folder::~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, std::string_view bytes, bool executable) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (executable) ::chmod(path.c_str(), 0755);
}

}  // namespace metadata_test
