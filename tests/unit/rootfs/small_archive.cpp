#include "rootfs/small_archive.hpp"

#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.hpp"
#include "support.hpp"

using rootfs_test::Tar;
namespace fs = std::filesystem;

namespace {

struct World {
    World() {
        std::string name = (fs::temp_directory_path() / "sg-test-XXXXXX").string();
        path = mkdtemp(name.data());
        fs::create_directory(path + "/in");
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World() { fs::remove_all(path); }

    // What unpacking these bytes throws; "" when it works. The code is in `code`.
    std::string unpacked(const std::string& bytes) {
        fs::remove_all(path + "/in/into");
        fs::create_directory(path + "/in/into");
        std::ofstream(path + "/x.tar", std::ios::binary) << bytes;
        try {
            sg::unpack_small_archive(path + "/x.tar", path + "/in/into");
        } catch (const sg::Error& e) {
            code = e.code();
            return e.message();
        }
        return {};
    }
    // All that lies outside of the directory.
    std::string outside() const {
        std::set<std::string> names;
        for (const auto& e : fs::recursive_directory_iterator(path))
            if (!e.path().string().starts_with(path + "/in/into")) names.insert(e.path().filename().string());
        std::string out;
        for (const auto& name : names) out += name + " ";
        return out;
    }
    std::string text(const std::string& name) const {
        std::ifstream in(path + "/in/into/" + name, std::ios::binary);
        std::stringstream s;
        s << in.rdbuf();
        return s.str();
    }

    std::string path;
    sg::Code code = sg::Code::internal;
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string gzipped(const std::string& bytes) {
    z_stream z{};
    deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&z, bytes.size()), '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z.avail_in = static_cast<uInt>(bytes.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(small_archive)

BOOST_FIXTURE_TEST_CASE(files_and_directories_are_unpacked, World) {
    rootfs_test::Attr run;
    run.mode = 04775;
    const std::string tar =
        Tar().dir("./").dir("p/").file("./p//plugin.yaml", "name: x").file("p/deep/x.so", "code", run).bytes();
    BOOST_TEST(unpacked(tar) == "");
    BOOST_TEST(text("p/plugin.yaml") == "name: x");
    BOOST_TEST(text("p/deep/x.so") == "code");
    struct stat st {};
    BOOST_REQUIRE(stat((path + "/in/into/p/deep/x.so").c_str(), &st) == 0);
    BOOST_TEST((st.st_mode & 07022) == 0u);  // no set-id bits, nothing for others to write
    BOOST_TEST(unpacked(gzipped(tar)) == "");
    BOOST_TEST(text("p/plugin.yaml") == "name: x");
}

BOOST_FIXTURE_TEST_CASE(what_leads_outside_is_refused, World) {
    for (const auto& [name, why] :
         std::vector<std::pair<std::string, std::string>>{{"../x", "climbs out"},
                                                          {"a/../../../x", "climbs out"},
                                                          {"a/..", "climbs out"},
                                                          {"/etc/x", "is an absolute path"},
                                                          {std::string(600, 'x'), "1 to 512 bytes"}}) {
        BOOST_TEST(holds(unpacked(Tar().file(name, "x").bytes()), why), name);
        BOOST_TEST((code == sg::Code::invalid));
    }
    BOOST_TEST(holds(unpacked(Tar().link("l", "/tmp").file("l/x", "x").bytes()),
                     "'l', which is neither a file nor a directory"));
    BOOST_TEST(holds(unpacked(Tar().file("a", "x").hard("b", "a").bytes()), "'b', which is neither"));
    BOOST_TEST(holds(unpacked(Tar().fifo("f").bytes()), "which is neither"));
    BOOST_TEST(holds(unpacked(Tar().device("d", 1, 3).bytes()), "which is neither"));
    BOOST_TEST(holds(unpacked(Tar().file("a", "x").file("a", "y").bytes()), "twice"));
    BOOST_TEST(unpacked(Tar().file("a", "x").file("a/b", "y").bytes()) != "");
    BOOST_TEST(outside() == "in x.tar ");
}

BOOST_FIXTURE_TEST_CASE(what_is_too_large_is_refused_before_it_is_written, World) {
    Tar many;
    for (int i = 0; i < 4097; ++i) many.file("f" + std::to_string(i), "");
    BOOST_TEST(holds(unpacked(many.bytes()), "more than 4096 entries or 256 MiB"));
    BOOST_TEST((code == sg::Code::limit));
    // 300 MiB by its header, and as so many bytes of which few are stored.
    BOOST_TEST(holds(unpacked(Tar().header('0', "big", "", uint64_t{300} << 20, "x").bytes()),
                     "more than 4096 entries or 256 MiB"));
    std::string sparse = Tar()
                             .pax("GNU.sparse.major", "1")
                             .pax("GNU.sparse.minor", "0")
                             .pax("GNU.sparse.name", "big")
                             .pax("GNU.sparse.realsize", "1099511627776")
                             .file("x", "0\n" + std::string(510, '\0'))
                             .bytes();
    BOOST_TEST(holds(unpacked(sparse), "more than 4096 entries or 256 MiB"));
}

BOOST_FIXTURE_TEST_CASE(damage_is_told_with_the_files_name, World) {
    const std::string whole = gzipped(Tar().file("a", std::string(100000, 'x')).bytes());
    for (const auto& bytes : {whole.substr(0, whole.size() / 2), std::string("no archive")}) {
        BOOST_TEST(holds(unpacked(bytes), path + "/x.tar: "), bytes.size());
        BOOST_TEST((code == sg::Code::corrupt));
    }
}

BOOST_AUTO_TEST_SUITE_END()
