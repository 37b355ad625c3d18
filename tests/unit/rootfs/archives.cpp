// Tar archives of other projects (SINGULARITY_TEST_DATA): what is valid is read, nothing crashes.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.hpp"
#include "support.hpp"

using namespace rootfs_test;
namespace fs = std::filesystem;

namespace {

std::string data_folder() {
    const char* p = std::getenv("SINGULARITY_TEST_DATA");
    return p && *p ? p : "";
}

std::string load(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream s;
    s << in.rdbuf();
    return s.str();
}

Merged read(const fs::path& path, unsigned threads = 1) {
    sg::LayerInput l;
    l.name = path.filename().string();
    l.open = [bytes = load(path)] { return stream_of(bytes, 10000); };
    Recorder recorder;
    recorder.keep_bytes = false;
    auto writer = recorder.writer();
    std::vector<sg::LayerInput> layers{l};
    sg::Tree tree = sg::merge_layers(layers, writer, {}, {threads}, nullptr);
    return {std::move(tree), std::move(recorder)};
}

bool missing_data() {
    if (!data_folder().empty()) return false;
    BOOST_TEST_MESSAGE("skipped: SINGULARITY_TEST_DATA is not set");
    return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(archives)

BOOST_AUTO_TEST_CASE(valid_archives_are_read_and_damaged_ones_refused) {
    if (missing_data()) return;
    // Headers without their data, damaged ones, and a pax header over 1 MiB.
    const std::set<std::string> refused = {"issue10968.tar", "issue11169.tar", "issue12435.tar",      "neg-size.tar",
                                           "pax-path-hdr.tar", "writer-big.tar", "writer-big-long.tar", "pax-bad-hdr-large.tar.bz2"};
    // Archives whose pax records are wrong: go refuses them, tar and libarchive leave the records out.
    const std::set<std::string> either = {"pax-bad-hdr-file.tar", "pax-bad-mtime-file.tar", "pax-nul-path.tar",
                                          "pax-nul-xattrs.tar", "invalid-go17.tar"};
    size_t seen = 0;
    for (const auto& f : fs::recursive_directory_iterator(data_folder() + "/tar")) {
        if (!f.is_regular_file() || f.path().string().find(".tar") == std::string::npos) continue;
        const std::string name = f.path().filename().string();
        ++seen;
        BOOST_TEST_CONTEXT(name) {
            std::string failure;
            try {
                Merged m = read(f.path(), seen % 2 + 1);
                m.tree.handle();
            } catch (const sg::Error& e) {
                failure = e.message();
                BOOST_TEST((e.code() == sg::Code::corrupt || e.code() == sg::Code::limit), e.what());
            }
            BOOST_TEST_MESSAGE(name + ": " + (failure.empty() ? "read" : failure));
            if (!either.contains(name)) BOOST_TEST(failure.empty() == !refused.contains(name), failure);
        }
    }
    BOOST_TEST(seen > 40u);
}

BOOST_AUTO_TEST_CASE(every_form_of_sparse_file_is_expanded) {
    if (missing_data()) return;
    const fs::path folder = data_folder() + "/tar/tar-split/testdata";
    sg::LayerInput l = layer(load(folder / "sparse-formats.tar"));
    Merged m = merge({l});
    Lines got = lines(m);
    const auto bytes = [&](const std::string& name) {
        const auto& c = m.recorder.contents.at(m.tree.find(name).value().content);
        return std::pair(c.bytes, c.holes);
    };
    BOOST_TEST(m.tree.find("sparse-gnu").value().size == 200u);
    for (const char* name : {"sparse-posix-0.0", "sparse-posix-0.1", "sparse-posix-1.0"})
        BOOST_TEST((bytes(name) == bytes("sparse-gnu")), name);
    for (const char* name : {"gnu-sparse-big.tar", "pax-sparse-big.tar"}) {
        Merged big = merge({layer(load(folder / name))});
        BOOST_TEST(big.recorder.contents.at(0).size == 60'000'000'000u);
        BOOST_TEST(big.recorder.contents.at(0).bytes.size() < 10'000u);
    }
}

BOOST_AUTO_TEST_CASE(what_the_archives_hold_is_what_their_projects_say) {
    if (missing_data()) return;
    const fs::path folder = data_folder() + "/tar/tar-split/testdata";
    Merged star = merge({layer(load(folder / "star.tar"))});
    BOOST_TEST(lines(star).at("small.txt") == "file Kilts");
    const sg_attr a = star.tree.find("small2.txt").value();
    BOOST_TEST(a.mode == 0100640u);
    BOOST_TEST(a.uid == 73025u);
    BOOST_TEST(a.gid == 5000u);
    BOOST_TEST(a.mtime == 1244592783);
    Merged x = merge({layer(load(folder / "xattrs.tar"))});
    const auto root = x.tree.view();
    const auto attrs = root.xattrs(root.find("small.txt"));
    BOOST_TEST(attrs.size() == 2u);
    BOOST_TEST(attrs.at(0).first == "user.key");
    Merged links = merge({layer(load(folder / "hardlink.tar"))});
    BOOST_TEST(links.tree.view().stat(links.tree.view().find("file.txt")).nlink == 2u);
    Merged names = merge({layer(load(folder / "gnu-not-utf8.tar"))});
    BOOST_TEST(names.tree.find("hi\x80\x81\x82\x83" "bye").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
