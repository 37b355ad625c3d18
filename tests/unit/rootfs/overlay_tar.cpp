// The upper directory of an overlay as a layer.
#include "rootfs/overlay_tar.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/unique_fd.hpp"
#include "rootfs/tar_reader.hpp"
#include "support.hpp"

using namespace rootfs_test;
namespace fs = std::filesystem;

namespace {

struct Directory {
    Directory() {
        std::string name = (fs::temp_directory_path() / "sg-upper-XXXXXX").string();
        BOOST_REQUIRE(mkdtemp(name.data()));
        top = name;
    }
    ~Directory() { fs::remove_all(top); }
    void write(const std::string& path, const std::string& text) const {
        fs::create_directories((top / path).parent_path());
        std::ofstream(top / path) << text;
    }
    // "kind path[ -> target]" of each entry.
    std::string listed(sg::OverlayTarRules rules = {}, bool owners = false) const {
        const sg::UniqueFd directory(open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const sg::UniqueFd file(open(fs::temp_directory_path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        BOOST_REQUIRE(directory && file);
        sg::write_overlay_tar(directory.get(), file.get(), rules);
        std::string bytes(static_cast<size_t>(lseek(file.get(), 0, SEEK_END)), '\0');
        BOOST_REQUIRE(pread(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
        const auto stream = stream_of(bytes, 65536, true);
        sg::TarReader tar(*stream);
        sg::TarEntry e;
        std::string out;
        while (tar.next(e)) {
            static const char* kinds[] = {"file", "dir", "link", "hard", "char", "block", "fifo"};
            out += std::string(kinds[static_cast<int>(e.kind)]) + " " + std::string(e.path);
            if (owners) out += " " + std::to_string(e.uid) + ":" + std::to_string(e.gid);
            if (owners && e.major) out += " " + std::to_string(e.major) + "," + std::to_string(e.minor);
            if (!e.target.empty()) out += " -> " + std::string(e.target);
            // The writer puts each down in two forms; one name is one attribute.
            const auto set = tar.xattrs();
            for (const auto& [name, value] : std::map<std::string, std::string>(set.begin(), set.end()))
                out += " " + name + "=" + value;
            if (e.kind == sg::TarEntry::Kind::file && e.size > 0) out += " " + all_of(tar.data());
            out += "\n";
        }
        return out;
    }
    fs::path top;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(overlay_tar)

BOOST_AUTO_TEST_CASE(files_directories_and_links_come_in_order_with_their_bytes) {
    Directory d;
    d.write("b/file", "bytes");
    d.write("a", "first");
    fs::create_hard_link(d.top / "a", d.top / "c");
    fs::create_symlink("nowhere", d.top / "s");
    mkfifo((d.top / "p").c_str(), 0600);
    BOOST_TEST(d.listed() == "file a first\ndir b/\nfile b/file bytes\nhard c -> a\nfifo p\nlink s -> nowhere\n");
}

BOOST_AUTO_TEST_CASE(what_is_to_be_left_out_is_not_there) {
    Directory d;
    d.write("keep", "1");
    d.write("drop/x", "2");
    sg::OverlayTarRules rules;
    rules.leave_out = [](std::string_view path) { return path == "drop"; };
    BOOST_TEST(d.listed(rules) == "file keep 1\n");
}

BOOST_AUTO_TEST_CASE(an_opaque_directory_has_a_marker_and_keeps_other_attributes) {
    Directory d;
    d.write("o/x", "1");
    if (setxattr((d.top / "o").c_str(), "user.overlay.opaque", "y", 1, 0) != 0 ||
        setxattr((d.top / "o").c_str(), "user.mine", "v", 1, 0) != 0) {
        BOOST_TEST_MESSAGE("no user attributes here");
        return;
    }
    BOOST_TEST(d.listed() == "dir o/ user.mine=v\nfile o/.wh..wh..opq\nfile o/x 1\n");
}

BOOST_AUTO_TEST_CASE(a_character_device_of_zero_is_a_whiteout_in_overlays_only) {
    Directory d;
    if (mknod((d.top / "w").c_str(), S_IFCHR, makedev(0, 0)) != 0) {
        BOOST_TEST_MESSAGE("no whiteouts can be made here");
        return;
    }
    BOOST_TEST(d.listed() == "file .wh.w\n");
    sg::OverlayTarRules plain;
    plain.is_overlay = false;
    BOOST_TEST(d.listed(plain) == "char w\n");
}

BOOST_AUTO_TEST_CASE(what_is_recorded_of_a_file_counts_more_than_what_it_is) {
    Directory d;
    d.write("device", "");
    d.write("mine", "m");
    d.write("other", "o");
    fs::create_hard_link(d.top / "mine", d.top / "second");
    fs::create_symlink("mine", d.top / "link");
    sg::OwnerRecord record;
    const auto entry = [&](const char* name) -> sg::RecordedFile& {
        struct statx st {};
        BOOST_REQUIRE(
            statx(AT_FDCWD, (d.top / name).c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) == 0);
        return record.add(sg::identity_of(st));
    };
    entry("mine") = {7, 8, 0, 0, 0, {{"security.x", "value"}}};
    entry("link") = {9, 10, 0, 0, 0, {}};
    entry("device") = {1, 2, S_IFBLK, 300, 70000, {}};
    sg::OverlayTarRules rules;
    rules.record = &record;
    const std::string own = " " + std::to_string(geteuid()) + ":" + std::to_string(getegid());
    BOOST_TEST(d.listed(rules, true) ==
               "block device 1:2 300,70000\nlink link 9:10 -> mine\nfile mine 7:8 security.x=value m\nfile other" +
                   own + " o\nhard second 7:8 -> mine\n");
    // Not its name but its inode, and not a later file with the same number.
    fs::rename(d.top / "mine", d.top / "moved");
    fs::rename(d.top / "other", d.top / "mine");
    BOOST_TEST(d.listed(rules, true).find("file mine" + own) != std::string::npos);
    BOOST_TEST(d.listed(rules, true).find("file moved 7:8") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_file_that_the_overlay_copied_up_keeps_the_owner_of_the_base_unless_one_is_recorded) {
    Directory d;
    d.write("copied", "1");
    d.write("made", "2");
    d.write("given", "3");
    for (const char* name : {"copied", "given"})
        if (setxattr((d.top / name).c_str(), "user.overlay.origin", "", 0, 0) != 0) {
            BOOST_TEST_MESSAGE("no user attributes here");
            return;
        }
    sg::OwnerRecord record;
    struct statx st {};
    BOOST_REQUIRE(statx(AT_FDCWD, (d.top / "given").c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &st) == 0);
    record.add(sg::identity_of(st)) = {5, 6, 0, 0, 0, {}};
    sg::OverlayTarRules rules;
    rules.record = &record;
    std::string asked;
    rules.base_owner = [&](std::string_view path) {
        asked += path;
        return std::optional(std::pair(42u, 43u));
    };
    const std::string own = " " + std::to_string(geteuid()) + ":" + std::to_string(getegid());
    BOOST_TEST(d.listed(rules, true) == "file copied 42:43 1\nfile given 5:6 3\nfile made" + own + " 2\n");
    BOOST_TEST(asked == "copied");
}

BOOST_AUTO_TEST_CASE(a_directory_of_mode_0_and_long_names_are_read_by_root) {
    Directory d;
    const std::string name(255, 'n');
    d.write("d/" + name, "x");
    if (geteuid() == 0) chmod((d.top / "d").c_str(), 0);
    BOOST_TEST(d.listed() == "dir d/\nfile d/" + name + " x\n");
    chmod((d.top / "d").c_str(), 0700);
}

BOOST_AUTO_TEST_SUITE_END()
