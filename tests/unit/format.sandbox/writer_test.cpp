// A tree becomes a directory, with every attribute that the user may set.
#include "sandbox/writer.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <functional>

#include "folder.hpp"
#include "memory_tree.hpp"
#include "sandbox/reader.hpp"

using namespace sandbox_test;
using sandbox::DirectoryWriter;
using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

singularity::CreateSpec spec_of(const std::string& path) {
    singularity::CreateSpec spec;
    spec.path = path;
    return spec;
}

uint64_t store(DirectoryWriter& writer, const std::string& bytes) {
    testing::BytesStream data(bytes);
    return writer.content("x", bytes.size(), data, Host());
}

struct stat stat_of(const std::string& path) {
    struct stat st {};
    BOOST_REQUIRE(::lstat(path.c_str(), &st) == 0);
    return st;
}

// Runs `f` as an ordinary user; true when it returned true. Without root it is run as it is.
bool as_user(const std::function<bool()>& f) {
    if (::geteuid() != 0) return f();
    const pid_t pid = ::fork();
    if (pid == 0) {
        bool good = false;
        if (::setgid(65534) == 0 && ::setuid(65534) == 0) {
            try {
                good = f();
            } catch (...) {
            }
        }
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(writer)

BOOST_AUTO_TEST_CASE(every_type_of_file_has_its_place_and_attributes) {
    const bool root = ::geteuid() == 0;
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::MemoryTree tree;
    tree.at("").attr.mode = 040755;
    tree.at("").attr.mtime = 77;
    tree.add("etc", 040750).attr.mtime = 1000;
    auto& passwd = tree.file("etc/passwd", 7, store(writer, "root:x\n"), 0104755);
    passwd.attr.uid = 12, passwd.attr.gid = 34, passwd.attr.mtime = -5;
    tree.file("etc/empty", 0, SG_NO_CONTENT, 0100600);
    tree.link("etc/hard", "etc/passwd");
    tree.add("link", 0120777).target = "../nowhere";
    tree.at("link").attr.mtime = 2000;
    tree.add("fifo", 0010640);
    tree.add("socket", 0140755);
    auto& device = tree.add("null", 0020666);
    device.attr.major = 1, device.attr.minor = 3;
    tree.at("etc/empty").xattrs = {{"user.note", "kept"}};
    store(writer, "nobody refers to this");
    writer.finish(tree.foreign(), Host());

    BOOST_TEST(read_file(folder / "etc/passwd") == "root:x\n");
    const auto st = stat_of(folder / "etc/passwd");
    BOOST_TEST(st.st_mode == 0104755u);
    BOOST_TEST(st.st_mtim.tv_sec == -5);
    BOOST_TEST(st.st_nlink == 2u);
    BOOST_TEST(stat_of(folder / "etc/hard").st_ino == st.st_ino);
    BOOST_TEST(st.st_uid == (root ? 12u : ::geteuid()));
    BOOST_TEST(stat_of(folder / "etc").st_mode == 040750u);
    BOOST_TEST(stat_of(folder / "etc").st_mtim.tv_sec == 1000);
    BOOST_TEST(stat_of(folder.path()).st_mtim.tv_sec == 77);
    BOOST_TEST(stat_of(folder.path()).st_mode == 040755u);
    BOOST_TEST(stat_of(folder / "etc/empty").st_size == 0);
    BOOST_TEST(std::filesystem::read_symlink(folder / "link").string() == "../nowhere");
    BOOST_TEST(stat_of(folder / "link").st_mtim.tv_sec == 2000);
    BOOST_TEST(S_ISFIFO(stat_of(folder / "fifo").st_mode));
    BOOST_TEST(S_ISSOCK(stat_of(folder / "socket").st_mode));
    if (root && writer.skipped().devices == 0) {
        BOOST_TEST(S_ISCHR(stat_of(folder / "null").st_mode));
        BOOST_TEST(stat_of(folder / "null").st_rdev == ::makedev(1, 3));
    }
    if (writer.skipped().xattrs == 0) {
        char value[16];
        BOOST_TEST(::getxattr((folder / "etc/empty").c_str(), "user.note", value, sizeof value) == 4);
    }
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(folder.path()), {}) ==
               (std::filesystem::exists(folder / "null") ? 5 : 4));
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read_as_it_was) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::MemoryTree tree;
    tree.add("a", 040755);
    tree.file("a/one", 3, store(writer, "one"));
    tree.file("a/two", 300000, store(writer, testing::text(2, 300000)));
    writer.finish(tree.foreign(), Host());
    sandbox::DirectoryRoot reader(folder.path());
    const testing::Foreign root(reader);
    const auto node = root->find("a/two");
    BOOST_TEST(root->stat(node).size == 300000u);
    BOOST_TEST(std::string(root->block(node, 0).text()) == testing::text(2, 300000));
    BOOST_TEST(root->stat(node).uid == 0u);
}

BOOST_AUTO_TEST_CASE(as_a_user_devices_are_skipped_and_counted) {
    const Folder folder;
    BOOST_REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
    BOOST_TEST(as_user([&] {
        DirectoryWriter writer(spec_of(folder.path()));
        testing::MemoryTree tree;
        tree.add("dev", 040755);
        for (const char* name : {"dev/a", "dev/b", "dev/c"}) tree.add(name, 0020666).attr.major = 1;
        tree.link("dev/d", "dev/a");
        auto& file = tree.file("f", 1, store(writer, "x"), 0100444);
        file.attr.uid = 5;
        file.xattrs = {{"security.capability", std::string("\1\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)},
                       {"user.ok", "yes"}};
        // The root of a MemoryTree is not the user's to own.
        tree.at("").attr.mode = 040755;
        struct stat st {};
        // The folder is the other user's: only what is in it is made here.
        try {
            writer.finish(tree.foreign(), Host());
        } catch (const Error& e) {
            if (e.message().find("cannot set the mode of") == std::string::npos) throw;
        }
        return writer.skipped().devices == 3 && writer.skipped().owners == 0 && writer.skipped().xattrs >= 1 &&
               ::lstat((folder / "f").c_str(), &st) == 0 && (st.st_mode & 07777) == 0444 &&
               ::access((folder / "dev/d").c_str(), F_OK) != 0;
    }));
}

BOOST_AUTO_TEST_CASE(holes_are_not_written) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::PiecesStream data({{100, 'a'}, {-(64 << 20), 0}, {5, 'b'}, {-(64 << 20), 0}});
    const uint64_t size = 105 + (128ull << 20);
    testing::MemoryTree tree;
    tree.file("sparse", size, writer.content("sparse", size, data, Host()));
    writer.finish(tree.foreign(), Host());
    const auto st = stat_of(folder / "sparse");
    BOOST_TEST(static_cast<uint64_t>(st.st_size) == size);
    BOOST_TEST(st.st_blocks * 512 < 1 << 20);
}

BOOST_AUTO_TEST_CASE(one_content_may_have_two_files) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    const uint64_t id = store(writer, "shared");
    testing::MemoryTree tree;
    tree.file("a", 6, id);
    tree.file("b", 6, id, 0100600);
    tree.file("c", 6, id);
    tree.link("d", "c");
    writer.finish(tree.foreign(), Host());
    for (const char* name : {"a", "b", "c", "d"}) BOOST_TEST(read_file(folder / name) == "shared");
    BOOST_TEST(stat_of(folder / "a").st_ino != stat_of(folder / "b").st_ino);
    BOOST_TEST(stat_of(folder / "c").st_ino == stat_of(folder / "d").st_ino);
    BOOST_TEST(stat_of(folder / "b").st_mode == 0100600u);
}

BOOST_AUTO_TEST_CASE(links_and_fifos_may_have_several_names) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::MemoryTree tree;
    tree.add("l", 0120777).target = "t";
    tree.link("l2", "l");
    tree.add("f", 0010600);
    tree.link("f2", "f");
    writer.finish(tree.foreign(), Host());
    BOOST_TEST(stat_of(folder / "l").st_ino == stat_of(folder / "l2").st_ino);
    BOOST_TEST(stat_of(folder / "f").st_ino == stat_of(folder / "f2").st_ino);
}

BOOST_AUTO_TEST_CASE(the_image_may_use_the_name_of_the_staging_folder) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::MemoryTree tree;
    tree.add(".contents", 040755);
    tree.file(".contents/0", 1, store(writer, "x"));
    tree.file(".contents_", 1, store(writer, "y"));
    writer.finish(tree.foreign(), Host());
    BOOST_TEST(read_file(folder / ".contents/0") == "x");
    BOOST_TEST(read_file(folder / ".contents_") == "y");
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}

BOOST_AUTO_TEST_CASE(a_very_deep_tree_needs_few_descriptors) {
    const Folder folder;
    struct rlimit old {};
    ::getrlimit(RLIMIT_NOFILE, &old);
    const struct rlimit low { std::min<rlim_t>(400, old.rlim_max), old.rlim_max };
    ::setrlimit(RLIMIT_NOFILE, &low);
    testing::MemoryTree tree;
    std::string path;
    for (int i = 0; i < 1000; ++i) {
        path += (i ? "/" : "") + std::string("d");
        tree.add(path, 040555).attr.mtime = i;
    }
    {
        DirectoryWriter writer(spec_of(folder.path()));
        tree.file(path + "/bottom", 1, store(writer, "x"));
        writer.finish(tree.foreign(), Host());
    }
    ::setrlimit(RLIMIT_NOFILE, &old);
    BOOST_TEST(stat_of(folder / "d").st_mode == 040555u);
    BOOST_TEST(stat_of(folder / "d/d/d").st_mtim.tv_sec == 2);
    BOOST_TEST(read_file(folder / (path + "/bottom")) == "x");
    ::system(("chmod -R u+w " + folder.path()).c_str());
}

BOOST_AUTO_TEST_CASE(files_of_an_open_reader_are_taken_by_several_threads) {
    const Folder from, to;
    testing::MemoryTree tree;
    for (int d = 0; d < 40; ++d) {
        const std::string directory = "d" + std::to_string(d);
        std::filesystem::create_directory(from / directory);
        tree.add(directory, d % 2 ? 040555 : 040755).attr.mtime = d;
        for (int f = 0; f < 20; ++f) write_file(from / (directory + "/f" + std::to_string(f)), testing::text(static_cast<uint32_t>(d * 20 + f), static_cast<size_t>(f * 97)));
    }
    write_file(from / "large", testing::text(7, 700000));
    ::truncate((from / "large").c_str(), 3000000);
    sandbox::DirectoryRoot reader(from.path());
    const testing::Foreign root(reader);
    DirectoryWriter writer(spec_of(to.path()));
    std::vector<sandbox::Content> contents;
    const auto take = [&](const std::string& path) {
        const uint64_t node = root->find(path);
        contents.push_back({1, *root, node, root->stat(node).size});
        return contents.size() - 1;
    };
    for (int d = 0; d < 40; ++d)
        for (int f = 0; f < 20; ++f) {
            const std::string path = "d" + std::to_string(d) + "/f" + std::to_string(f);
            tree.file(path, static_cast<uint64_t>(f * 97), f ? take(path) : SG_NO_CONTENT, 0100640).attr.mtime = f;
        }
    tree.file("large", 3000000, take("large"));
    tree.link("d0/hard", "large");
    tree.link("d39/hard", "large");
    const int root_fd = ::open(to.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int staging_fd = ::open((to / ".contents").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const Host host;
    sandbox::TreeMaker maker({tree.foreign(), contents, to.path(), root_fd, staging_fd, false}, host);
    maker.make(4);
    maker.dress_directories();
    ::close(root_fd), ::close(staging_fd);
    BOOST_TEST(stat_of(to / "d1").st_mode == 040555u);
    BOOST_TEST(stat_of(to / "d30").st_mtim.tv_sec == 30);
    BOOST_TEST(stat_of(to / "d3/f4").st_mode == 0100640u);
    BOOST_TEST(stat_of(to / "d3/f4").st_mtim.tv_sec == 4);
    BOOST_TEST(stat_of(to / "large").st_nlink >= 3u);
    BOOST_TEST(stat_of(to / "large").st_ino == stat_of(to / "d39/hard").st_ino);
    int wrong = 0;
    for (int d = 0; d < 40; ++d)
        for (int f = 0; f < 20; ++f) {
            const std::string path = "d" + std::to_string(d) + "/f" + std::to_string(f);
            wrong += read_file(from / path) != read_file(to / path);
        }
    BOOST_TEST(wrong == 0);
    BOOST_TEST(read_file(from / "large") == read_file(to / "large"));
    ::system(("chmod -R u+w " + to.path()).c_str());
}

BOOST_AUTO_TEST_CASE(an_error_of_one_thread_ends_all_and_is_thrown) {
    const Folder to;
    testing::MemoryTree tree;
    for (int d = 0; d < 30; ++d) tree.add("d" + std::to_string(d), 040755);
    tree.file("d7/f", 5, 0);
    testing::MemoryTree empty;  // its files have no bytes
    const std::vector<sandbox::Content> contents{{1, empty.foreign(), 0, 5}};
    const int root_fd = ::open(to.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const Host host;
    sandbox::TreeMaker maker({tree.foreign(), contents, to.path(), root_fd, -1, false}, host);
    BOOST_CHECK_THROW(maker.make(4), Error);
    ::close(root_fd);
}

BOOST_AUTO_TEST_CASE(a_hostile_tree_is_refused) {
    const Folder folder;
    for (const char* name : {"..", "."}) {
        const Folder inner;
        DirectoryWriter writer(spec_of(inner.path()));
        testing::MemoryTree tree;
        tree.add(name, 040755);
        BOOST_CHECK_THROW(writer.finish(tree.foreign(), Host()), Error);
    }
    DirectoryWriter writer(spec_of(folder.path()));
    testing::MemoryTree tree;
    tree.file("f", 1, 7);
    BOOST_CHECK_THROW(writer.finish(tree.foreign(), Host()), Error);
}

BOOST_AUTO_TEST_CASE(a_stream_of_the_wrong_size_is_corrupt) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::BytesStream data("four");
    BOOST_CHECK_THROW(writer.content("x", 5, data, Host()), Error);
}

BOOST_AUTO_TEST_CASE(small_files_in_many_pieces_with_holes_or_of_two_names_are_written_whole) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::MemoryTree tree;
    testing::PiecesStream pieces({{100, 'a'}, {-5000, 0}, {3, 'b'}});
    tree.file("pieces", 5103, writer.content("pieces", 5103, pieces, Host()));
    const uint64_t shared = store(writer, "shared");
    tree.file("first", 6, shared);
    tree.file("second", 6, shared);
    std::vector<std::string> all;
    for (uint32_t i = 0; i < 200; ++i) {
        all.push_back(testing::text(i, 1 + i * 331));  // on both sides of the limit of what is packed
        tree.file("f" + std::to_string(i), all.back().size(), store(writer, all.back()));
    }
    writer.finish(tree.foreign(), Host());
    BOOST_TEST((read_file(folder / "pieces") == std::string(100, 'a') + std::string(5000, '\0') + "bbb"));
    BOOST_TEST(read_file(folder / "first") == "shared");
    BOOST_TEST(read_file(folder / "second") == "shared");
    BOOST_TEST(stat_of(folder / "first").st_nlink == 1u);
    for (uint32_t i = 0; i < 200; ++i) BOOST_TEST((read_file(folder / ("f" + std::to_string(i))) == all[i]), i);
}

BOOST_AUTO_TEST_CASE(a_small_stream_with_more_bytes_than_announced_is_corrupt) {
    const Folder folder;
    DirectoryWriter writer(spec_of(folder.path()));
    testing::BytesStream data("four");
    BOOST_CHECK_THROW(writer.content("x", 3, data, Host()), Error);
}

BOOST_AUTO_TEST_CASE(a_missing_directory_is_an_error) {
    const Folder folder;
    BOOST_CHECK_THROW(DirectoryWriter(spec_of(folder / "absent")), Error);
}

BOOST_AUTO_TEST_SUITE_END()
