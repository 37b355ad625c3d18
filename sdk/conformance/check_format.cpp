// Tables "format" 1 and "parts" 1: what is no image, what is written and read back, and what is damaged.
#include <fcntl.h>
#include <singularity/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "checks.hpp"
#include "contract.hpp"
#include "memory_tree.hpp"

namespace conformance {

namespace {

namespace fs = std::filesystem;

std::string load(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void store(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// ---- Reading -------------------------------------------------------------------------------------

struct Entry {
    std::string path;
    sg_attr attr;
    std::string target, sha256;
};

// A walk through everything; bounded, as a damaged image may have no end.
class Walk {
public:
    Walk(Probe& probe, const sg_root_v1& table, sg_root* root, bool trusted)
        : probe_(probe), t_(table), root_(root), trusted_(trusted) {}

    std::vector<Entry> entries;
    bool failed = false;

    void run() { visit(t_.root(root_), "", 0); }

private:
    struct Name {
        std::string name;
        uint64_t node;
        uint32_t type;
    };

    int32_t call(const std::string& step, const std::function<int32_t(sg_error*)>& f) {
        const int32_t rc = called(probe_, step, f);
        if (rc != SG_OK) {
            failed = true;
            if (trusted_) probe_.fail("fails with code " + std::to_string(rc) + " " + step);
        }
        return rc;
    }

    void visit(uint64_t node, const std::string& path, int depth) {
        if (entries.size() > 5000 || depth > 64 || bytes_ > (64u << 20)) return;
        const std::string where = "of '" + shown(path.empty() ? "/" : path) + "'";
        Entry e;
        e.path = path;
        memset(&e.attr, 0, sizeof e.attr);
        if (call("in stat " + where, [&](sg_error* x) { return t_.stat(root_, node, &e.attr, x); }) != SG_OK) return;
        if (S_ISLNK(e.attr.mode)) e.target = target(node, where);
        if (S_ISREG(e.attr.mode)) e.sha256 = contents(node, e.attr.size, where);
        entries.push_back(e);
        if (!S_ISDIR(e.attr.mode)) return;
        std::vector<Name> names;
        const auto collect = [](void* arg, const char* name, uint64_t length, uint64_t child, uint32_t type,
                                uint64_t) -> int32_t {
            auto& all = *static_cast<std::vector<Name>*>(arg);
            all.push_back({std::string(name, static_cast<size_t>(std::min<uint64_t>(length, 4096))), child, type});
            return all.size() > 5000 ? 1 : 0;
        };
        if (call("in list " + where, [&](sg_error* x) { return t_.list(root_, node, 0, collect, &names, x); }) != SG_OK)
            return;
        if (trusted_) {
            for (size_t i = 0; i < names.size(); ++i) {
                probe_.expect(
                    names[i].name != "." && names[i].name != ".." && names[i].name.find('/') == std::string::npos,
                    "lists a name that is none " + where);
                if (i > 0)
                    probe_.expect(names[i - 1].name < names[i].name,
                                  "does not list names in the order of their bytes " + where);
                if (probe_.tired()) return;
            }
            resume(node, names, where);
        }
        for (const auto& n : names) {
            if (trusted_) {
                uint64_t found = SG_NO_NODE;
                call("in lookup " + where,
                     [&](sg_error* x) { return t_.lookup(root_, node, n.name.data(), n.name.size(), &found, x); });
                probe_.expect(found == n.node, "finds another node than it lists " + where);
            }
            visit(n.node, path + "/" + n.name, depth + 1);
            if (probe_.tired()) return;
        }
    }

    // Stopped after each entry and continued from its cursor, the same comes out.
    void resume(uint64_t node, const std::vector<Name>& names, const std::string& where) {
        struct State {
            std::vector<std::string> names;
            uint64_t cursor = 0;
            bool more = false;
        } s;
        const auto one = [](void* arg, const char* name, uint64_t length, uint64_t, uint32_t,
                            uint64_t cursor) -> int32_t {
            auto& st = *static_cast<State*>(arg);
            st.names.emplace_back(name, static_cast<size_t>(length));
            st.cursor = cursor;
            st.more = true;
            return 1;
        };
        for (size_t i = 0; i <= names.size() && i < 100; ++i) {
            s.more = false;
            call("in list from a cursor " + where,
                 [&](sg_error* x) { return t_.list(root_, node, s.cursor, one, &s, x); });
            if (!s.more) break;
        }
        for (size_t i = 0; i < s.names.size(); ++i)
            if (!probe_.expect(i < names.size() && s.names[i] == names[i].name,
                               "does not go on where it was stopped, by its cursor, " + where))
                return;
    }

    std::string target(uint64_t node, const std::string& where) {
        char room[4096 + 16];
        memset(room, 0x5a, sizeof room);
        uint64_t length = 0;
        if (call("in link_target " + where,
                 [&](sg_error* x) { return t_.link_target(root_, node, room, 4096, &length, x); }) != SG_OK)
            return {};
        probe_.expect(static_cast<unsigned char>(room[4096]) == 0x5a, "link_target writes beyond its room " + where);
        if (trusted_) {
            char small[2] = {0x5a, 0x5a};
            uint64_t again = 0;
            call("in link_target with room for 1 byte " + where,
                 [&](sg_error* x) { return t_.link_target(root_, node, small, 1, &again, x); });
            probe_.expect(again == length && small[1] == 0x5a,
                          "link_target does not give the whole length when there is little room " + where);
        }
        return {room, static_cast<size_t>(std::min<uint64_t>(length, 4096))};
    }

    std::string contents(uint64_t node, uint64_t size, const std::string& where) {
        std::string bytes, by_block;
        std::vector<char> room(70000);
        while (bytes_ < (64u << 20)) {
            uint64_t got = 0;
            if (call("in read " + where, [&](sg_error* x) {
                    return t_.read(root_, node, bytes.size(), room.data(), room.size(), &got, x);
                }) != SG_OK)
                return {};
            if (!probe_.expect(got <= room.size(), "reads more than there is room for " + where)) return {};
            bytes.append(room.data(), static_cast<size_t>(got));
            bytes_ += got;
            if (got < room.size()) break;
        }
        if (!trusted_) {
            sg_slice s{};
            if (called(probe_, "in block " + where, [&](sg_error* x) { return t_.block(root_, node, 0, &s, x); }) ==
                    SG_OK &&
                s.owner && s.release)
                s.release(s.owner);
            return sha256_of(bytes.data(), bytes.size());
        }
        probe_.expect(bytes.size() == size,
                      "gives " + std::to_string(bytes.size()) + " bytes of " + std::to_string(size) + " " + where);
        while (by_block.size() < size) {
            sg_slice s{};
            if (call("in block " + where, [&](sg_error* x) { return t_.block(root_, node, by_block.size(), &s, x); }) !=
                SG_OK)
                break;
            if (s.size == 0 || s.size > size - by_block.size()) {
                if (s.size) probe_.fail("gives a block that goes beyond the file's end " + where);
                break;
            }
            if (s.data)
                by_block.append(reinterpret_cast<const char*>(s.data), static_cast<size_t>(s.size));
            else
                by_block.append(static_cast<size_t>(s.size), '\0');
            if (s.owner && probe_.expect(s.release, "gives a block with an owner, but without release " + where))
                s.release(s.owner);
        }
        probe_.expect(by_block == bytes, "gives other bytes by block than by read " + where);
        for (const uint64_t offset : {size, size + 1, UINT64_MAX, uint64_t{1} << 62}) {
            uint64_t got = 1;
            const int32_t rc = called(probe_, "in read beyond the end " + where, [&](sg_error* x) {
                return t_.read(root_, node, offset, room.data(), room.size(), &got, x);
            });
            if (rc == SG_OK) probe_.expect(got == 0, "reads bytes beyond the end " + where);
        }
        return sha256_of(bytes.data(), bytes.size());
    }

    Probe& probe_;
    const sg_root_v1& t_;
    sg_root* root_;
    bool trusted_;
    uint64_t bytes_ = 0;
};

bool whole(Probe& probe, const sg_root_v1* t) {
    return probe.expect(t && t->root && t->stat && t->lookup && t->list && t->link_target && t->xattrs && t->read &&
                            t->block && t->placement && t->totals,
                        "gives a reader without all its functions");
}

void strange_nodes(Probe& probe, const sg_root_v1& t, sg_root* root) {
    for (const uint64_t node : {SG_NO_NODE, uint64_t{0xffffffff}, uint64_t{1} << 40, uint64_t{1} << 63}) {
        const std::string where = "of node " + std::to_string(node) + ", which is none";
        sg_attr a{};
        if (t.root(root) == node) continue;
        const int32_t rc =
            called_twice(probe, "in stat " + where, [&](sg_error* e) { return t.stat(root, node, &a, e); });
        probe.expect(rc != SG_OK, "knows attributes " + where);
        char room[64];
        uint64_t out = 0;
        sg_slice s{};
        called(probe, "in read " + where,
               [&](sg_error* e) { return t.read(root, node, 0, room, sizeof room, &out, e); });
        called(probe, "in block " + where, [&](sg_error* e) { return t.block(root, node, 0, &s, e); });
        called(probe, "in link_target " + where,
               [&](sg_error* e) { return t.link_target(root, node, room, sizeof room, &out, e); });
        called(probe, "in list " + where, [&](sg_error* e) {
            return t.list(
                root, node, 0, [](void*, const char*, uint64_t, uint64_t, uint32_t, uint64_t) -> int32_t { return 1; },
                nullptr, e);
        });
        called(probe, "in xattrs " + where, [&](sg_error* e) {
            return t.xattrs(
                root, node, [](void*, const char*, const void*, uint64_t) -> int32_t { return 1; }, nullptr, e);
        });
        sg_placement place{};
        called(probe, "in placement " + where, [&](sg_error* e) { return t.placement(root, node, &place, e); });
    }
    for (const auto& text : strange_texts()) {
        uint64_t node = 0;
        probe.step("in lookup of '" + shown(text) + "'");
        const int32_t rc = t.lookup(root, t.root(root), text.data(), text.size(), &node, nullptr);
        probe.expect(rc != SG_OK, "finds '" + shown(text) + "', which is not there");
    }
}

// Opens, walks, closes. `entries`: what was found; false when it cannot be opened or read.
bool read_image(Probe& probe, const sg_format_v1& f, const std::string& path, bool trusted,
                std::vector<Entry>* entries = nullptr) {
    sg_image_file* image = nullptr;
    const std::string where = "of '" + shown(fs::path(path).filename().string()) + "'";
    if (called(probe, "in open " + where, [&](sg_error* e) { return f.open(path.c_str(), 0, &image, e); }) != SG_OK)
        return false;
    sg_image_info info;
    memset(&info, 0x5a, sizeof info);
    if (called(probe, "in info " + where, [&](sg_error* e) { return f.info(image, &info, e); }) == SG_OK)
        probe.expect(ends(info.format, sizeof info.format) && ends(info.arch, sizeof info.arch),
                     "gives an info with a text that does not end in its room " + where);
    sg_mount_plan plan;
    memset(&plan, 0x5a, sizeof plan);
    if (called(probe, "in mount_plan " + where, [&](sg_error* e) { return f.mount_plan(image, &plan, e); }) == SG_OK)
        probe.expect(ends(plan.type, sizeof plan.type) && ends(plan.path, sizeof plan.path) && plan.path[0] == '/',
                     "gives a mount plan without an absolute path " + where);
    const sg_root_v1* table = nullptr;
    sg_root* root = nullptr;
    bool good =
        called(probe, "in root " + where, [&](sg_error* e) { return f.root(image, &table, &root, e); }) == SG_OK &&
        whole(probe, table);
    if (good) {
        Walk walk(probe, *table, root, trusted);
        walk.run();
        good = !walk.failed;
        if (trusted) strange_nodes(probe, *table, root);
        if (entries) *entries = std::move(walk.entries);
    }
    probe.step("in close " + where);
    f.close(image);
    return good;
}

// ---- Writing -------------------------------------------------------------------------------------

struct Target {
    std::string path;
    int fd = -1;
    sg_create c{};
    sg_pair none[1] = {{nullptr, nullptr}};
    Target(const std::string& directory, const std::string& name, bool is_directory, const char* compress = "")
        : path(directory + "/" + name) {
        fs::remove_all(path);
        if (is_directory)
            fs::create_directory(path);
        else
            fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        c.fd = fd;
        c.path = path.c_str();
        c.arch = "amd64";
        c.compress = compress;
        c.time = INT64_MIN;
        c.options = none;
    }
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;
    ~Target() {
        if (fd >= 0) close(fd);
    }
};

// A reader that holds the sample, for a writer to take files of; it stays open until `finish`.
struct Sample {
    const sg_root_v1* table;
    sg_root* root;
    unsigned taken = 0;  // files that the writer took
};

uint64_t node_at(const Sample& from, const std::string& path) {
    uint64_t node = from.table->root(from.root);
    for (size_t at = 1; at < path.size() && node != SG_NO_NODE;) {
        const size_t end = std::min(path.find('/', at), path.size());
        uint64_t next = SG_NO_NODE;
        from.table->lookup(from.root, node, path.data() + at, end - at, &next, nullptr);
        node = next;
        at = end + 1;
    }
    return node;
}

// Writes the sample, with those files of `from` that the writer takes; false when the format cannot.
bool write_sample(Probe& probe, const sg_format_v1& f, Target& target, const sg_call* call, bool quiet = false,
                  Sample* from = nullptr) {
    const sg_writer_v1* w = nullptr;
    sg_writer* writer = nullptr;
    if (const int32_t rc =
            called(probe, "in create", [&](sg_error* e) { return f.create(&target.c, call, &w, &writer, e); });
        rc != SG_OK) {
        // C++'s table has the slot in any case.
        if (!quiet && rc == SG_EUNSUPPORTED) probe.skip("it only reads");
        if (!quiet) probe.fail("cannot create an image with default options");
        return false;
    }
    if (!probe.expect(w && w->part && w->content && w->adopt && w->finish && w->close,
                      "gives a writer without all its functions"))
        return false;
    MemoryTree tree = MemoryTree::sample();
    std::map<uint64_t, uint64_t> by_inode;
    bool good = true;
    for (auto& [path, number] : tree.paths()) {
        auto& n = tree.nodes[static_cast<size_t>(number)];
        if (!S_ISREG(n.mode) || n.bytes.empty()) continue;
        if (const auto known = by_inode.find(n.inode); known != by_inode.end()) {
            n.content = known->second;
            continue;
        }
        if (from) {
            const uint64_t node = node_at(*from, path);
            probe.step("in adopt of '" + shown(path) + "'");
            const int32_t rc = w->adopt(writer, from->table, from->root, node, &n.content, nullptr);
            probe.expect(rc == SG_OK || rc == SG_EUNSUPPORTED,
                         "gives code " + std::to_string(rc) + " in adopt of '" + shown(path) + "'");
            if (rc == SG_OK) {
                ++from->taken;
                by_inode[n.inode] = n.content;
                continue;
            }
        }
        Source bytes = Source::of(n.bytes);
        good = called(probe, "in content",
                      [&](sg_error* e) {
                          return w->content(writer, "hint/of/a/path", n.bytes.size(), &bytes, call, &n.content, e);
                      }) == SG_OK &&
               good;
        probe.expect(bytes.closed == 1, "closes the stream of a content " + std::to_string(bytes.closed) + " times");
        by_inode[n.inode] = n.content;
    }
    good = good && called(probe, "in finish", [&](sg_error* e) {
                       return w->finish(writer, MemoryTree::table(), tree.handle(), call, e);
                   }) == SG_OK;
    probe.step("in close of the writer");
    w->close(writer);
    if (!good && !quiet) probe.fail("cannot write a plain tree");
    return good;
}

void compare(Probe& probe, const std::vector<Entry>& entries) {
    const MemoryTree tree = MemoryTree::sample();
    std::map<std::string, const MemoryTree::Node*> wanted;
    for (const auto& [path, number] : tree.paths()) wanted[path] = &tree.nodes[static_cast<size_t>(number)];
    for (const auto& e : entries) {
        const auto found = wanted.find(e.path);
        if (found == wanted.end()) {
            probe.fail("has '" + shown(e.path) + "', which was not written");
            continue;
        }
        const auto& n = *found->second;
        const std::string where = "of '" + shown(e.path) + "' that was written";
        probe.expect((e.attr.mode & S_IFMT) == (n.mode & S_IFMT), "gives another type " + where);
        if (!S_ISLNK(n.mode)) probe.expect((e.attr.mode & 0777) == (n.mode & 0777), "gives other permissions " + where);
        if (S_ISREG(n.mode))
            probe.expect(e.sha256 == sha256_of(n.bytes.data(), n.bytes.size()), "gives other bytes " + where);
        if (S_ISLNK(n.mode)) probe.expect(e.target == n.target, "gives another target " + where);
        wanted.erase(found);
        if (probe.tired()) return;
    }
    for (const auto& [path, node] : wanted) {
        (void)node;
        probe.fail("lacks '" + shown(path) + "' that was written");
        if (probe.tired()) return;
    }
}

// The first file among `samples` that the format knows and that is small enough to be read some hundred times; "".
std::string small_sample(const sg_format_v1& f, const std::vector<std::string>& samples) {
    constexpr uint64_t largest = 16 << 20;
    for (const auto& path : samples) {
        std::error_code none;
        if (!fs::is_regular_file(path, none) || fs::file_size(path, none) > largest) continue;
        const std::string head = load(path).substr(0, 4096);
        if (f.probe(path.c_str(), 0, head.data(), head.size()) > 0) return path;
    }
    return {};
}

// Reads copies of an image that are cut short or changed.
void read_damaged(Probe& probe, const sg_format_v1& f, const std::string& whole, const std::string& path) {
    const auto read = [&](const std::string& damaged) {
        store(path, damaged);
        read_image(probe, f, path, false);
    };
    uint32_t state = 7;
    const auto random = [&] { return state = state * 1664525u + 1013904223u; };
    for (size_t i = 0; i < 24 && !probe.tired(); ++i) read(whole.substr(0, whole.size() * i / 24));
    for (int i = 0; i < 200 && !probe.tired() && !whole.empty(); ++i) {
        std::string damaged = whole;
        // Near the beginning and the end are the tables.
        const size_t room = i % 3 == 0 ? 512 : i % 3 == 1 ? 8192 : whole.size();
        for (int n = 0; n < 1 + i % 4; ++n) {
            const size_t at = random() % std::min(room, whole.size());
            damaged[i % 2 ? at : whole.size() - 1 - at] = static_cast<char>(random() >> 24);
        }
        read(damaged);
    }
}

void check_writer(Run& run, const Capability& c, const std::string& home) {
    const bool directory = c.has("directory");
    run.check(c.title() + ": what is written can be read, by threads too", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
        if (!f.create) probe.skip("it only reads");
        sg_call call;
        Target target(home, "written", directory);
        if (!write_sample(probe, f, target, &call)) return;
        call.settle(probe, "in writing");
        std::vector<Entry> entries;
        probe.step("in probe of what it has written");
        const std::string head = directory ? std::string() : load(target.path).substr(0, 4096);
        const int32_t sure = f.probe(target.path.c_str(), directory, head.data(), head.size());
        probe.expect(sure >= 1 && sure <= 100,
                     "does not know what it has written (probe gives " + std::to_string(sure) + ")");
        if (!probe.expect(read_image(probe, f, target.path, true, &entries), "cannot read what it has written")) return;
        compare(probe, entries);
        if (probe.tired()) return;
        sg_image_file* image = nullptr;
        sg_error err;
        const sg_root_v1* table = nullptr;
        sg_root* root = nullptr;
        if (f.open(target.path.c_str(), 0, &image, &err) != SG_OK || f.root(image, &table, &root, &err) != SG_OK)
            return probe.fail("cannot be opened again");
        probe.step("reading from 4 threads");
        std::atomic<unsigned> differ{0};
        in_threads(4, [&](unsigned) {
            Probe quiet(-1);
            Walk walk(quiet, *table, root, true);
            walk.run();
            if (walk.entries.size() != entries.size()) ++differ;
            for (size_t i = 0; i < std::min(walk.entries.size(), entries.size()); ++i)
                if (walk.entries[i].path != entries[i].path || walk.entries[i].sha256 != entries[i].sha256) ++differ;
        });
        probe.expect(differ == 0, "gives something else when several threads read");
        f.close(image);
    });
    run.check(c.title() + ": the same input gives the same bytes", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
        if (!f.create) probe.skip("it only reads");
        if (directory) probe.skip("it writes a directory");
        std::string first;
        for (int i = 0; i < 2; ++i) {
            Target target(home, "same", false);
            if (!write_sample(probe, f, target, nullptr)) return;
            if (i == 0)
                first = load(target.path);
            else
                probe.expect(load(target.path) == first, "writes other bytes the second time");
        }
    });
    run.check(c.title() + ": files that a writer takes of a reader keep their bytes", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
        if (!f.create) probe.skip("it only reads");
        // Of one without stored blocks a writer may take the file itself, to read it in finish.
        MemoryTree memory = MemoryTree::sample();
        Sample plain{MemoryTree::reader(), memory.handle()};
        Target first(home, "taken", directory), second(home, "taken-again", directory);
        std::vector<Entry> entries;
        if (!write_sample(probe, f, first, nullptr, false, &plain)) return;
        if (!probe.expect(read_image(probe, f, first.path, true, &entries),
                          "cannot read an image with files that it took"))
            return;
        compare(probe, entries);
        // And of an image of its own, with what that has stored.
        sg_image_file* image = nullptr;
        Sample own{};
        sg_error err;
        if (f.open(first.path.c_str(), 0, &image, &err) != SG_OK || f.root(image, &own.table, &own.root, &err) != SG_OK)
            return probe.fail("cannot be opened again");
        const bool written = write_sample(probe, f, second, nullptr, false, &own);
        probe.step("in close of a reader that files were taken of");
        f.close(image);
        if (!written) return;
        if (plain.taken + own.taken == 0) probe.skip("it takes none");
        entries.clear();
        if (!probe.expect(read_image(probe, f, second.path, true, &entries),
                          "cannot read an image with files that it took"))
            return;
        compare(probe, entries);
    });
    run.check(c.title() + ": wrong input of a writer, and one that is left early", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
        if (!f.create) probe.skip("it only reads");
        const sg_writer_v1* w = nullptr;
        sg_writer* writer = nullptr;
        for (const char* compress : {"nonsense", "zstd:999999", "gzip:-1:x", "\xff"}) {
            Target target(home, "left", directory, compress);
            const std::string where = "in create with the compression '" + shown(compress) + "'";
            const int32_t rc =
                called(probe, where, [&](sg_error* e) { return f.create(&target.c, nullptr, &w, &writer, e); });
            if (rc == SG_OK)
                w->close(writer);  // one that compresses nothing may not look
            else if (rc == SG_EUNSUPPORTED)
                probe.skip("it only reads");
            else
                probe.expect(rc == SG_EINVALID,
                             "gives code " + std::to_string(rc) + " instead of SG_EINVALID " + where);
        }
        Target target(home, "left", directory);
        if (called(probe, "in create", [&](sg_error* e) { return f.create(&target.c, nullptr, &w, &writer, e); }) !=
            SG_OK)
            return;
        Source breaks(100000, true), empty(0), endless(SG_SIZE_UNKNOWN);
        uint64_t id = 0;
        refused(probe, "in content with a stream that fails", [&](sg_error* e) {
            breaks.at = 0, breaks.closed = 0;
            const int32_t rc = w->content(writer, "x", SG_SIZE_UNKNOWN, &breaks, nullptr, &id, e);
            probe.expect(breaks.closed == 1, "closes a stream that fails " + std::to_string(breaks.closed) + " times");
            return rc;
        });
        called(probe, "in content with an empty stream",
               [&](sg_error* e) { return w->content(writer, "", 0, &empty, nullptr, &id, e); });
        probe.expect(empty.closed == 1, "closes an empty stream " + std::to_string(empty.closed) + " times");
        // As a host does that was interrupted.
        probe.step("in close of a writer without finish");
        w->close(writer);
    });
    run.check(c.title() + ": writing ends when it is cancelled", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
        if (!f.create) probe.skip("it only reads");
        for (const unsigned after : {0u, 50u}) {
            Target target(home, "cancelled", directory);
            const sg_writer_v1* w = nullptr;
            sg_writer* writer = nullptr;
            if (called(probe, "in create", [&](sg_error* e) { return f.create(&target.c, nullptr, &w, &writer, e); }) !=
                SG_OK)
                return;
            ends_when_cancelled(probe, "in content of a stream without end", after, [&](const sg_call* call) {
                Source endless(uint64_t{2} << 30);  // of zeros; its end is far away
                uint64_t id = 0;
                const int32_t rc = called(probe, "in content of a long stream", [&](sg_error* e) {
                    return w->content(writer, "x", SG_SIZE_UNKNOWN, &endless, call, &id, e);
                });
                probe.expect(rc == SG_ECANCELLED,
                             "gives code " + std::to_string(rc) + " instead of SG_ECANCELLED in content");
            });
            w->close(writer);
        }
    });
    run.check(c.title() + ": damage is no crash",
              [&](Probe& probe) {
                  const Loaded loaded(probe, run.subject);
                  const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
                  if (directory) probe.skip("its images are directories");
                  std::string whole;
                  Target target(home, "whole", false);
                  if (f.create && write_sample(probe, f, target, nullptr, true)) whole = target.path;
                  if (whole.empty()) whole = small_sample(f, run.subject.samples);
                  if (whole.empty()) probe.skip("it only reads, and no image of it below 16 MiB was given by --with");
                  read_damaged(probe, f, load(whole), home + "/damaged");
              },
              {60, false, false});
}

}  // namespace

void check_format(Run& run, const Capability& c) {
    const std::string home = run.scratch.path() + "/home";
    run.check(c.title() + ": what is no image of it", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
        if (!probe.expect(f.probe && f.open && f.close && f.info && f.root && f.mount_plan,
                          "a function of its table is NULL"))
            return;
        std::string noise(1 << 16, '\0');
        uint32_t state = 3;
        for (char& b : noise) b = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
        std::vector<std::string> files{"", "x", noise, std::string(1 << 16, '\0'), std::string(1 << 16, '\xff')};
        for (const auto& [offset, magic] : c.magics) {
            // The right first bytes, and nothing right behind them.
            if (offset > 65536) continue;
            for (const char fill : {'\0', '\xff'})
                files.push_back(std::string(static_cast<size_t>(offset), fill) + magic + std::string(100000, fill));
            files.push_back(std::string(static_cast<size_t>(offset), '\0') + magic + noise);
            files.push_back(std::string(static_cast<size_t>(offset), '\0') + magic);
        }
        for (size_t i = 0; i < files.size() && !probe.tired(); ++i) {
            const std::string path = home + "/no-image-" + std::to_string(i), head = files[i].substr(0, 4096);
            store(path, files[i]);
            probe.step("in probe of a file of " + std::to_string(files[i].size()) + " bytes");
            const int32_t sure = f.probe(path.c_str(), 0, head.data(), head.size());
            probe.expect(sure >= 0 && sure <= 100, "probe gives " + std::to_string(sure));
            if (!c.has("directory")) read_image(probe, f, path, false);
        }
        probe.step("in probe of nothing");
        f.probe("/nowhere/at/all", 0, nullptr, 0);
        f.probe("/nowhere/at/all", 1, nullptr, 0);
        f.probe("", 0, "", 0);
        sg_image_file* image = nullptr;
        for (const int writable : {0, 1})
            for (const auto& text : strange_texts())
                if (!text.empty() && text != "/" && text[0] != '/' && text.find("..") == std::string::npos)
                    called_twice(
                        probe, "in open of '" + shown(text) + "'",
                        [&](sg_error* e) { return f.open((home + "/nowhere/" + text).c_str(), writable, &image, e); },
                        [&] { f.close(image); });
        refused(probe, "in open of a file that is not there",
                [&](sg_error* e) { return f.open("/nowhere/at/all", 0, &image, e); });
        refused(probe, "in open of a name of 1 MiB",
                [&](sg_error* e) { return f.open(("/" + std::string(1 << 20, 'A')).c_str(), 0, &image, e); });
    });
    check_writer(run, c, home);
    run.check(c.title() + ": leaks nothing",
              [&](Probe& probe) {
                  const Loaded loaded(probe, run.subject);
                  const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
                  Probe quiet(-1);
                  store(home + "/no-image", std::string(5000, 'x'));
                  leaks_nothing(probe, "opening what is no image", [&] {
                      sg_image_file* image = nullptr;
                      sg_error err;
                      if (f.open((home + "/no-image").c_str(), 0, &image, &err) == SG_OK) f.close(image);
                  });
                  if (!f.create) return;
                  leaks_nothing(probe, "writing and reading an image", [&] {
                      Target target(home, "again", c.has("directory"));
                      if (write_sample(quiet, f, target, nullptr, true)) read_image(quiet, f, target.path, false);
                  });
              },
              {120, false, false});
    for (const auto& sample : run.subject.samples) {
        std::error_code none;
        if (!fs::exists(sample, none)) continue;
        run.check(c.title() + ": " + shown(sample), [&](Probe& probe) {
            const Loaded loaded(probe, run.subject);
            const auto& f = loaded.need<sg_format_v1>(probe, c.name, "format");
            const std::string head = fs::is_directory(sample) ? std::string() : load(sample).substr(0, 4096);
            probe.step("in probe of what was given by --with");
            if (f.probe(sample.c_str(), fs::is_directory(sample), head.data(), head.size()) == 0)
                probe.skip("it does not take it for its own");
            probe.expect(read_image(probe, f, sample, true), "cannot read what was given by --with" + probe.why());
            const auto* parts = loaded.find<sg_parts_v1>(c.name, "parts");
            if (!parts) return;
            sg_image_file* image = nullptr;
            if (called(probe, "in open", [&](sg_error* e) { return f.open(sample.c_str(), 0, &image, e); }) != SG_OK)
                return;
            const uint64_t count = parts->count(image);
            sg_part part{};
            for (uint64_t i = 0; i < count; ++i) {
                memset(&part, 0x5a, sizeof part);
                if (called(probe, "in get of a part", [&](sg_error* e) { return parts->get(image, i, &part, e); }) !=
                    SG_OK)
                    continue;
                probe.expect(ends(part.type, sizeof part.type) && ends(part.name, sizeof part.name),
                             "gives a part with a text that does not end in its room");
                sg_stream* stream = nullptr;
                const uint64_t id = part.id, size = part.size;
                if (called(probe, "in read of a part",
                           [&](sg_error* e) { return parts->read(image, id, nullptr, &stream, e); }) != SG_OK)
                    continue;
                const Read r = drain(probe, "in a part", stream);
                probe.expect(r.code != SG_OK || r.size == size,
                             "says " + std::to_string(size) + " bytes of a part and gives " + std::to_string(r.size));
            }
            refused(probe, "in get of a part beyond the last",
                    [&](sg_error* e) { return parts->get(image, count, &part, e); });
            sg_stream* stream = nullptr;
            refused(probe, "in read of a part that is not there",
                    [&](sg_error* e) { return parts->read(image, UINT64_MAX, nullptr, &stream, e); });
            f.close(image);
        });
    }
}

}  // namespace conformance
