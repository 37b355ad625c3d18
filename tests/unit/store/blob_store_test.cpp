#include "store/blob_store.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "store/output.hpp"
#include "store/owner.hpp"
#include "store/sha256.hpp"

namespace {

namespace fs = std::filesystem;

sg::Digest digest_of(const std::string& text) { return sg::Digest::parse("sha256:" + sg::sha256_hex(text), "test"); }

struct Place {
    std::string path;
    Place() {
        char name[] = "/tmp/sg-blobs-XXXXXX";
        path = mkdtemp(name);
    }
    ~Place() { sg::remove_tree(path); }
    std::string root() const { return path + "/cache"; }
    std::string blob(const std::string& text) const { return root() + "/oci/blobs/sha256/" + sg::sha256_hex(text); }
};

std::string read_blob(const sg::BlobStore& store, const std::string& text) {
    const auto stream = store.open(digest_of(text));
    return singularity::read_all(*stream, 1 << 20, "blob");
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_kept_blob_is_found_by_digest_and_size) {
    Place p;
    sg::BlobStore store(p.root(), {});
    BOOST_CHECK(!store.find(digest_of("hello")));
    store.prepare();
    store.keep("hello", digest_of("hello"));
    BOOST_CHECK(store.find(digest_of("hello")) == p.blob("hello"));
    BOOST_CHECK(store.find(digest_of("hello"), 5));
    BOOST_CHECK(!store.find(digest_of("hello"), 6));
    BOOST_CHECK(store.holds(digest_of("hello")));
    BOOST_CHECK_EQUAL(read_blob(store, "hello"), "hello");
}

BOOST_AUTO_TEST_CASE(what_is_not_placed_leaves_nothing) {
    Place p;
    sg::BlobStore store(p.root(), {});
    store.prepare();
    {
        sg::NewFile file(p.root());
        file.append(std::string_view("half of it"));
    }
    BOOST_CHECK(fs::is_empty(p.root() + "/tmp"));
    BOOST_CHECK(fs::is_empty(p.root() + "/oci/blobs/sha256"));
}

BOOST_AUTO_TEST_CASE(links_directories_and_other_things_under_a_blobs_name_are_no_blob_and_are_replaced) {
    Place p;
    sg::BlobStore store(p.root(), {});
    store.prepare();
    std::ofstream(p.path + "/outside") << "hello";
    const auto make = [&](int kind) {
        const std::string at = p.blob("hello");
        if (kind == 0) fs::create_symlink(p.path + "/outside", at);
        if (kind == 1) fs::create_directories(at + "/deep");
        if (kind == 2) mkfifo(at.c_str(), 0600);
        if (kind == 3) std::ofstream(at) << "hell";
    };
    for (int kind = 0; kind < 4; ++kind) {
        make(kind);
        BOOST_TEST_CONTEXT("kind " << kind) {
            BOOST_CHECK(!store.find(digest_of("hello"), 5));
            store.keep("hello", digest_of("hello"));
            BOOST_CHECK_EQUAL(read_blob(store, "hello"), "hello");
            std::ifstream outside(p.path + "/outside");
            std::string text;
            outside >> text;
            BOOST_CHECK_EQUAL(text, "hello");
            sg::remove_tree(p.blob("hello"));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_planted_link_in_place_of_a_directory_is_not_followed) {
    Place p;
    fs::create_directories(p.root());
    fs::create_directories(p.path + "/outside");
    fs::create_symlink(p.path + "/outside", p.root() + "/oci");
    sg::BlobStore store(p.root(), {});
    BOOST_CHECK_EXCEPTION(store.prepare(), sg::Error, [](const sg::Error& e) { return e.code() == sg::Code::invalid; });
    BOOST_CHECK(fs::is_empty(p.path + "/outside"));
}

BOOST_AUTO_TEST_CASE(a_damaged_blob_is_told_and_can_be_discarded) {
    Place p;
    sg::BlobStore store(p.root(), {});
    store.prepare();
    store.keep("hello", digest_of("hello"));
    BOOST_CHECK(store.intact(digest_of("hello")));
    std::ofstream(p.blob("hello")) << "hellO";
    BOOST_CHECK(store.find(digest_of("hello"), 5));
    BOOST_CHECK(!store.intact(digest_of("hello")));
    BOOST_CHECK(!store.document(digest_of("hello"), 100));
    store.discard(digest_of("hello"));
    BOOST_CHECK(!store.find(digest_of("hello")));
}

BOOST_AUTO_TEST_CASE(a_lower_cache_is_read_and_its_damaged_blobs_are_left_alone) {
    Place site, user;
    sg::BlobStore theirs(site.root(), {});
    theirs.prepare();
    theirs.keep("hello", digest_of("hello"));
    sg::BlobStore store(user.root(), {site.root()});
    BOOST_CHECK(store.find(digest_of("hello")) == site.blob("hello"));
    BOOST_CHECK(!store.holds(digest_of("hello")));
    store.discard(digest_of("hello"));
    BOOST_CHECK(!store.find(digest_of("hello")));
    BOOST_CHECK(theirs.find(digest_of("hello")));
}

BOOST_AUTO_TEST_CASE(the_directories_are_private_and_a_root_may_be_a_link) {
    Place p;
    fs::create_directories(p.path + "/elsewhere");
    fs::create_symlink(p.path + "/elsewhere", p.root());
    sg::BlobStore store(p.root(), {});
    store.prepare();
    store.keep("hello", digest_of("hello"));
    struct stat st;
    for (const char* name : {"/oci", "/oci/blobs", "/oci/blobs/sha256", "/tmp"}) {
        BOOST_REQUIRE_EQUAL(stat((p.root() + name).c_str(), &st), 0);
        BOOST_CHECK_EQUAL(st.st_mode & 077, 0u);
    }
}

BOOST_AUTO_TEST_CASE(only_temporaries_of_the_dead_are_removed) {
    Place p;
    sg::BlobStore(p.root(), {}).prepare();
    fs::create_directories(p.root() + "/tmp");
    sg::Owner dead = sg::Owner::self();
    dead.pid = 1 << 22;  // above any process number
    sg::Owner elsewhere = sg::Owner::self();
    elsewhere.boot = "00000000-0000-0000-0000-000000000000";
    for (const auto& o : {dead, elsewhere, sg::Owner::self()}) std::ofstream(p.root() + "/tmp/" + o.text() + "-0") << "x";
    sg::remove_left_over(p.root());
    BOOST_CHECK(!fs::exists(p.root() + "/tmp/" + dead.text() + "-0"));
    BOOST_CHECK(fs::exists(p.root() + "/tmp/" + elsewhere.text() + "-0"));
    BOOST_CHECK(fs::exists(p.root() + "/tmp/" + sg::Owner::self().text() + "-0"));
}
