// Archives of files of the test's own, read back with libarchive.
#include "remote-build/context.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <singularity/stream.hpp>

using namespace remote_build;
namespace fs = std::filesystem;

namespace {

// The one service of the host that packing needs.
const sg_host_temporary_v1 temporary{[](int32_t* fd, sg_error*) -> int32_t {
                                         char name[] = "/tmp/sg-test-XXXXXX";
                                         *fd = mkstemp(name);
                                         unlink(name);
                                         return SG_OK;
                                     },
                                     nullptr};
std::vector<std::string> warnings;
const sg_host_log_v1 log_table{[](int32_t) { return int32_t{1}; }, [](int32_t, const char* text) { warnings.emplace_back(text); }};
const sg_host test_host{SG_ABI_VERSION, "test", [](const sg_host*, const char* name, uint32_t) -> const void* {
                            const std::string_view wanted(name);
                            return wanted == "temporary" ? static_cast<const void*>(&temporary) : wanted == "log" ? &log_table : nullptr;
                        }};

struct Scratch {
    Scratch() {
        singularity::detail::the_host = &test_host;
        warnings.clear();
        char name[] = "/tmp/sg-test-XXXXXX";
        path = fs::canonical(mkdtemp(name)).string();
        file("data/a.txt", "aa");
        file("data/b.txt", "bbb");
        file("data/sub/c", std::string(300'000, 'c'));
        file("data/sub/.hidden", "h");
        fs::permissions(at("data/a.txt"), fs::perms(0750));
    }
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
        singularity::detail::the_host = nullptr;
    }
    std::string at(const std::string& name) const { return path + "/" + name; }
    void file(const std::string& name, const std::string& text) const {
        fs::create_directories(fs::path(at(name)).parent_path());
        std::ofstream(at(name), std::ios::binary) << text;
    }
    void link(const std::string& target, const std::string& name) const { fs::create_symlink(target, at(name)); }

    Context pack(const std::vector<std::string>& files, const ContextLimits& limits = {}) const { return pack_context(files, path, Host(), limits); }

    // Name below the scratch directory -> type, and content or target.
    std::map<std::string, std::string> entries(const std::vector<std::string>& files) const {
        const Context context = pack(files);
        const auto stream = context.stream();
        const std::string bytes = singularity::read_all(*stream, 1 << 30, "the archive");
        BOOST_TEST(bytes.size() == context.size());
        BOOST_TEST(bytes.starts_with("\x1f\x8b"));
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
        char hex[3] = "";
        std::string text = "sha256.";
        for (unsigned i = 0; i < size; ++i) std::snprintf(hex, sizeof hex, "%02x", digest[i]), text += hex;
        BOOST_TEST(context.digest() == text);
        archive* a = archive_read_new();
        archive_read_support_filter_gzip(a);
        archive_read_support_format_tar(a);
        BOOST_REQUIRE(archive_read_open_memory(a, bytes.data(), bytes.size()) == ARCHIVE_OK);
        std::map<std::string, std::string> out;
        archive_entry* e = nullptr;
        while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
            std::string name = archive_entry_pathname(e);
            const std::string above = path.substr(1) + "/";
            BOOST_TEST(name.starts_with(above), name);
            name.erase(0, above.size());
            if (name.ends_with('/')) name.pop_back();
            BOOST_TEST(archive_entry_uid(e) == 0);
            std::string what;
            if (archive_entry_filetype(e) == AE_IFDIR) what = "directory";
            if (archive_entry_filetype(e) == AE_IFLNK) what = std::string("-> ") + archive_entry_symlink(e);
            if (archive_entry_filetype(e) == AE_IFREG) {
                what.resize(static_cast<size_t>(archive_entry_size(e)));
                BOOST_TEST(archive_read_data(a, what.data(), what.size()) == static_cast<la_ssize_t>(what.size()));
            }
            BOOST_TEST(out.emplace(name, what).second, "twice: " << name);
        }
        archive_read_free(a);
        return out;
    }

    std::string refusal(const std::vector<std::string>& files, Code code, const ContextLimits& limits = {}) const {
        try {
            pack(files, limits);
        } catch (const Error& e) {
            BOOST_TEST((e.code() == code), e.message());
            return e.message();
        }
        BOOST_ERROR("packed");
        return "";
    }

    std::string path;
};

using Entries = std::map<std::string, std::string>;

}  // namespace

BOOST_FIXTURE_TEST_CASE(files_directories_and_patterns_are_packed_below_the_root, Scratch) {
    BOOST_TEST((entries({"data/a.txt"}) == Entries{{"data/a.txt", "aa"}}));
    BOOST_TEST((entries({at("data/*.txt")}) == Entries{{"data/a.txt", "aa"}, {"data/b.txt", "bbb"}}));
    BOOST_TEST((entries({"data/[a-a].tx?", "./data//../data/a.txt"}) == Entries{{"data/a.txt", "aa"}}));
    const auto all = entries({"data"});
    BOOST_TEST(all.size() == 6u);
    BOOST_TEST(all.at("data") == "directory");
    BOOST_TEST(all.at("data/sub/.hidden") == "h");
    BOOST_TEST(all.at("data/sub/c").size() == 300'000u);
    BOOST_TEST(entries({"data/", "data/sub"}).size() == 6u);
}

BOOST_FIXTURE_TEST_CASE(the_same_files_make_the_same_archive, Scratch) {
    const std::string first = pack({"data"}).digest();
    BOOST_TEST(pack({"data"}).digest() == first);
    file("data/a.txt", "ab");
    BOOST_TEST(pack({"data"}).digest() != first);
}

BOOST_FIXTURE_TEST_CASE(links_that_are_named_bring_their_targets_and_others_do_not, Scratch) {
    file("secret", "s");
    link("a.txt", "data/link");
    link(at("secret"), "data/out");
    BOOST_TEST((entries({"data/link"}) == Entries{{"data/link", "-> a.txt"}, {"data/a.txt", "aa"}}));
    link("data", "way");
    link("way", "way2");
    BOOST_TEST((entries({"way2/b.txt"}) == Entries{{"way2", "-> way"}, {"way", "-> data"}, {"data/b.txt", "bbb"}}));
    BOOST_TEST((entries({"data/out"}) == Entries{{"data/out", "-> " + at("secret")}, {"secret", "s"}}));
    // Inside of a directory a link leads nowhere.
    const auto all = entries({"data"});
    BOOST_TEST(all.count("secret") == 0u);
    BOOST_TEST(all.at("data/out") == "-> " + at("secret"));
    link("loop", "loop");
    BOOST_TEST(refusal({"loop"}, Code::io).find("loop") != std::string::npos);
    link("nowhere", "dangling");
    BOOST_TEST(refusal({"dangling"}, Code::not_found).find("dangling") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(what_is_not_there_is_named, Scratch) {
    BOOST_TEST(refusal({"data/none"}, Code::not_found).find(at("data/none")) != std::string::npos);
    BOOST_TEST(refusal({"data/*.none"}, Code::not_found) == "%files: no file matches data/*.none");
}

BOOST_FIXTURE_TEST_CASE(a_directory_whose_name_is_a_pattern_is_none, Scratch) {
    file("odd[1]*/x.txt", "x");
    const Context context = pack_context({"*.txt"}, at("odd[1]*"), Host());
    BOOST_TEST(context.size() > 0u);
}

BOOST_FIXTURE_TEST_CASE(size_and_number_are_bounded, Scratch) {
    BOOST_TEST(refusal({"data"}, Code::limit, {1000, 100}).find("larger than the 1000 bytes") != std::string::npos);
    BOOST_TEST(refusal({"data"}, Code::limit, {1 << 20, 3}).find("more than 3 files") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_file_is_left_out_with_a_warning, Scratch) {
    BOOST_REQUIRE(mkfifo(at("data/pipe").c_str(), 0600) == 0);
    BOOST_TEST(entries({"data"}).count("data/pipe") == 0u);
    BOOST_REQUIRE(warnings.size() == 1u);
    BOOST_TEST(warnings[0].find("data/pipe") != std::string::npos);
}
