// The merge against `umoci unpack` as root, wherever the two should agree.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "support.hpp"

using namespace rootfs_test;
namespace fs = std::filesystem;
using L = std::vector<Tar>;

namespace {

// A directory of this test alone, gone at its end.
struct Scratch {
    fs::path path;
    Scratch() {
        std::string name = (fs::temp_directory_path() / "sg-umoci-XXXXXX").string();
        BOOST_REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
};

bool missing_umoci() {
    if (geteuid() != 0) {
        BOOST_TEST_MESSAGE("skipped: umoci gives devices and owners only to root");
        return true;
    }
    for (const char* p : {"/usr/bin/umoci", "/usr/local/bin/umoci"})
        if (access(p, X_OK) == 0) return false;
    BOOST_TEST_MESSAGE("skipped: umoci is not installed");
    return true;
}

std::string put_blob(const fs::path& layout, const std::string& bytes) {
    const std::string digest = sha256(bytes);
    std::ofstream(layout / "blobs/sha256" / digest.substr(7), std::ios::binary) << bytes;
    return "\"digest\":\"" + digest + "\",\"size\":" + std::to_string(bytes.size());
}

// What umoci makes of the layers, as `lines` shows it (whole or not); empty when umoci refuses them.
Lines unpacked(const L& tars, bool full) {
    Scratch scratch;
    const fs::path layout = scratch.path / "layout", bundle = scratch.path / "bundle";
    fs::create_directories(layout / "blobs/sha256");
    std::string layers, diff_ids;
    for (const Tar& t : tars) {
        layers += std::string(layers.empty() ? "" : ",") + "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\"," +
                  put_blob(layout, gzip(t.bytes())) + "}";
        diff_ids += std::string(diff_ids.empty() ? "" : ",") + "\"" + sha256(t.bytes()) + "\"";
    }
    const std::string config = put_blob(layout, "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" +
                                                    diff_ids + "]}}");
    const std::string manifest =
        put_blob(layout, "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\"," + config +
                             "},\"layers\":[" + layers + "]}");
    std::ofstream(layout / "oci-layout") << "{\"imageLayoutVersion\":\"1.0.0\"}";
    std::ofstream(layout / "index.json") << "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"," +
                                                manifest + ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"t\"}}]}";
    const std::string command =
        "umoci unpack --image " + layout.string() + ":t " + bundle.string() + " >" + (scratch.path / "log").string() + " 2>&1";
    if (std::system(command.c_str()) != 0) return {};

    Lines out;
    const fs::path root = bundle / "rootfs";
    const auto show = [&](const fs::path& p, const std::string& name) {
        struct stat st {};
        if (lstat(p.c_str(), &st) != 0) return;
        char mode[16];
        std::snprintf(mode, sizeof mode, "%04o", st.st_mode & 07777);
        std::string s;
        if (S_ISDIR(st.st_mode)) {
            s = std::string("dir ") + mode;
        } else if (S_ISREG(st.st_mode)) {
            std::ifstream in(p, std::ios::binary);
            std::stringstream b;
            b << in.rdbuf();
            s = "file " + b.str();
        } else if (S_ISLNK(st.st_mode)) {
            s = "-> " + fs::read_symlink(p).string();
        } else if (S_ISFIFO(st.st_mode)) {
            s = "fifo";
        } else {
            s = std::string(S_ISCHR(st.st_mode) ? "chr " : "blk ") + std::to_string(major(st.st_rdev)) + ":" + std::to_string(minor(st.st_rdev));
        }
        if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) s += " (" + std::to_string(st.st_nlink) + " names)";
        if (full) s += std::string(" ") + mode + " " + std::to_string(st.st_uid) + ":" + std::to_string(st.st_gid);
        if (full && !S_ISDIR(st.st_mode)) s += " " + std::to_string(st.st_mtime);
        out[name] = s;
    };
    for (const auto& e : fs::recursive_directory_iterator(root)) show(e.path(), e.path().lexically_relative(root).string());
    return out;
}

Lines ours(const L& tars, bool full) {
    Merged m = merge(tars, 2);
    Lines out = lines(m, full);
    out.erase(".");
    if (full) {
        // As `unpacked` shows it: no link counts of directories, no inode numbers, no times of directories
        // (umoci leaves the time of unpacking where a parent is made).
        for (auto& [path, line] : out) {
            line.erase(line.find(" #"));
            line.erase(line.rfind(' '));
            if (line.starts_with("dir ")) line.erase(line.rfind(' '));
        }
    }
    return out;
}

void agree(const char* name, const L& tars, bool full = true) {
    BOOST_TEST_CONTEXT(name) {
        const Lines u = unpacked(tars, full);
        BOOST_TEST(!u.empty(), "umoci refused them");
        BOOST_TEST(text(ours(tars, full)) == text(u));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(against_umoci)

BOOST_AUTO_TEST_CASE(the_cases_where_both_agree) {
    if (missing_umoci()) return;
    agree("hard link to an older layer", {Tar().dir("a").file("a/one", "old"), Tar().hard("a/two", "a/one")});
    agree("its target replaced later", {Tar().dir("a").file("a/one", "old"), Tar().hard("a/two", "a/one"), Tar().file("a/one", "new")});
    agree("target replaced", {Tar().dir("a").file("a/one", "old").hard("a/two", "a/one"), Tar().file("a/one", "new")});
    agree("target whited out", {Tar().dir("a").file("a/one", "old").hard("a/two", "a/one"), Tar().file("a/.wh.one", "")});
    agree("chain", {Tar().file("a", "old"), Tar().hard("b", "a"), Tar().hard("c", "b"), Tar().file("b", "new")});
    agree("hidden chain", {Tar().file("a", "old").hard("b", "a").hard("c", "b"), Tar().file(".wh.a", "").file(".wh.b", "")});
    agree("directory, file, directory",
          {Tar().dir("a").file("a/old", "x"), Tar().file("a", "f"), Tar().dir("a", {.mode = 0750}).file("a/new", "y")});
    agree("unlisted parent", {Tar().dir("a", {.mode = 0700}), Tar().file("a/y", "y")});
    agree("directory over link", {Tar().link("bin", "usr/bin").dir("usr").dir("usr/bin").file("usr/bin/t", "old"),
                                  Tar().dir("bin", {.mode = 0711}).file("bin/t", "new")});
    agree("link of the same layer", {Tar().dir("usr").dir("usr/bin").link("bin", "usr/bin").file("bin/t", "t")});
    agree("absolute link of the same layer", {Tar().dir("usr").dir("usr/bin").link("bin", "/usr/bin").file("bin/t", "t")});
    agree("link above the root", {Tar().dir("tmp").link("esc", "../../../../tmp").file("esc/x", "x")});
    agree("whiteout before", {Tar().file("a", "old"), Tar().file(".wh.a", "").file("a", "new")});
    agree("whiteout after", {Tar().file("a", "old"), Tar().file("a", "new").file(".wh.a", "")});
    agree("opaque after", {Tar().dir("a").file("a/old", ""), Tar().dir("a").file("a/new", "").file("a/.wh..wh..opq", "")});
    agree("twice", {Tar().file("a", "first").file("a", "last")});
    agree("file then directory", {Tar().file("a", "first").dir("a").file("a/x", "x")});
    agree("directory then file", {Tar().dir("a").dir("a/d").file("a/d/x", "x").file("a", "last")});
    agree("whiteout below nothing", {Tar().file("x", ""), Tar().file("no/such/.wh.thing", "")});
    agree("hard link to a link", {Tar().link("s", "x").hard("h", "s")});
    agree("link kept, first replaced", {Tar().file("a", "first").hard("b", "a").file("a", "second").hard("c", "a")});
    agree("directory after its children", {Tar().file("a/x", "x").dir("a", {.mode = 0700})});
    agree("attributes", {Tar()
                             .file("su", "x", {.mode = 04755, .uid = 7, .gid = 8, .mtime = 1234567890})
                             .dir("tmp", {.mode = 01777})
                             .fifo("p")
                             .device("null", 1, 3)});
    agree("names", {Tar().file("/abs", "1").file("./rel", "2").file("../../up", "3").dir("a").file("a/../b", "4")});
}

BOOST_AUTO_TEST_CASE(layers_made_at_random_give_the_same_tree) {
    if (missing_umoci()) return;
    for (unsigned seed = 1; seed <= 12; ++seed) {
        std::mt19937 random(seed);
        const auto any = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
        const auto directory = [&] { return std::string(1, static_cast<char>('a' + any(3))); };
        L tars;
        for (unsigned l = 0; l < 4; ++l) {
            Tar t;
            // Every directory is listed first, so that no parent is made (there the two differ on purpose).
            std::vector<std::string> made;
            for (const char* d : {"a", "b", "c"}) t.dir(d, {.mode = static_cast<int>(0700 + any(64))});
            for (unsigned i = 0; i < 12; ++i) {
                const std::string name = directory() + "/" + std::string(1, static_cast<char>('r' + any(6)));
                switch (any(8)) {
                    case 0: t.file(name.substr(0, 2) + ".wh." + name.substr(2), ""); break;
                    case 1: t.link(name, "nowhere" + std::to_string(i)); break;
                    case 2:
                        if (!made.empty()) {
                            const std::string& target = made[any(static_cast<unsigned>(made.size()))];
                            if (target != name) t.hard(name, target);
                        }
                        break;
                    default:
                        t.file(name, "layer " + std::to_string(l) + " entry " + std::to_string(i), {.uid = any(9)});
                        // A target must still be there: names are given once per layer.
                        if (std::find(made.begin(), made.end(), name) == made.end()) made.push_back(name);
                }
                if (any(40) == 0) t.file(directory() + "/.wh..wh..opq", "");
            }
            tars.push_back(t);
        }
        BOOST_TEST_CONTEXT("seed " << seed) {
            const Lines u = unpacked(tars, true);
            if (u.empty()) continue;  // a hard link's target was replaced by a link or whited out before: umoci refuses
            BOOST_TEST(text(ours(tars, true)) == text(u));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
