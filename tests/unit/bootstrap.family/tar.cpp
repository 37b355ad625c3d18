// The tar archives that images come in: good ones, odd ones and hostile ones.
#include "family/archive.hpp"
#include "source_fixture.hpp"

using namespace sources;
using fixture::contains;
using fixture::error_of;
using fixture::tar_end;
using fixture::tar_header;
using fixture::tar_member;

namespace {

const Host nobody;

std::string pax_record(const std::string& key, const std::string& value) {
    size_t n = key.size() + value.size() + 3;
    while (std::to_string(n).size() + key.size() + value.size() + 3 != n) ++n;
    return std::to_string(n) + " " + key + "=" + value + "\n";
}
std::string with_pax(const std::string& records, const std::string& member) {
    return tar_member("pax", records, 'x') + member;
}

TarIndex index_of(const std::string& bytes) {
    const fixture::Scratch dir;
    const std::string path = dir.write("a.tar", bytes);
    uint64_t size = 0;
    Fd fd = open_regular(path, size);
    return TarIndex(std::move(fd), size, "A", nobody);
}
Error refused(const std::string& bytes) {
    return error_of([&] { index_of(bytes); });
}
std::string content(const TarIndex& tar, const std::string& name) {
    const auto* m = tar.file_through_links(name);
    return m ? tar.read(*m, name, 1 << 20) : "(none)";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tar_archives)

BOOST_AUTO_TEST_CASE(members_are_found_with_and_without_a_leading_dot) {
    const TarIndex tar = index_of(tar_member("./", "", '5') + tar_member("./a/b", "one") + tar_member("c//d", "two") +
                                  tar_member("e/", "", '5') + tar_end());
    BOOST_TEST(content(tar, "a/b") == "one");
    BOOST_TEST(content(tar, "c/d") == "two");
    BOOST_TEST(!tar.file("e"));
    BOOST_TEST(tar.has("e"));
    BOOST_TEST(tar.count() == 3u);
}

BOOST_AUTO_TEST_CASE(of_a_name_that_comes_twice_the_last_counts) {
    BOOST_TEST(content(index_of(tar_member("a", "old") + tar_member("./a", "new") + tar_end()), "a") == "new");
}

BOOST_AUTO_TEST_CASE(long_names_of_both_families_are_read) {
    const std::string name = std::string(90, 'd') + "/" + std::string(120, 'f');
    BOOST_TEST(content(index_of(tar_member("././@LongLink", name + '\0', 'L') + tar_member("short", "gnu") + tar_end()),
                       name) == "gnu");
    BOOST_TEST(content(index_of(with_pax(pax_record("path", name), tar_member("short", "pax")) + tar_end()), name) ==
               "pax");
    std::string ustar = tar_header(std::string(90, 'f'), 0);
    ustar.replace(345, 3, "pre");
    ustar.replace(148, 8, "        ");
    uint64_t sum = 0;
    for (char c : ustar) sum += static_cast<unsigned char>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", static_cast<unsigned>(sum));
    ustar.replace(148, 7, std::string(text, 7));
    BOOST_TEST(index_of(ustar + tar_end()).has("pre/" + std::string(90, 'f')));
}

BOOST_AUTO_TEST_CASE(sizes_may_be_in_a_pax_header_or_in_base_256) {
    std::string member = tar_member("a", "hello");
    std::string header = tar_header("a", 0);
    BOOST_TEST(content(index_of(with_pax(pax_record("size", "5"), header + member.substr(512)) + tar_end()), "a") ==
               "hello");
    header.replace(124, 12, std::string("\x80\0\0\0\0\0\0\0\0\0\0\x05", 12));
    header.replace(148, 8, "        ");
    uint64_t sum = 0;
    for (char c : header) sum += static_cast<unsigned char>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", static_cast<unsigned>(sum));
    header.replace(148, 7, std::string(text, 7));
    BOOST_TEST(content(index_of(header + member.substr(512) + tar_end()), "a") == "hello");
}

BOOST_AUTO_TEST_CASE(links_are_followed_inside_the_archive_only) {
    const TarIndex tar =
        index_of(tar_member("x/layer.tar", "data") + tar_member("y/layer.tar", "", '2', "../x/layer.tar") +
                 tar_member("z", "", '1', "./x/layer.tar") + tar_member("loop1", "", '2', "loop2") +
                 tar_member("loop2", "", '2', "loop1") + tar_member("out", "", '2', "../../etc/passwd") +
                 tar_member("abs", "", '2', "/x/layer.tar") + tar_member("self", "", '2', "self") + tar_end());
    BOOST_TEST(content(tar, "y/layer.tar") == "data");
    BOOST_TEST(content(tar, "z") == "data");
    for (const char* name : {"loop1", "out", "abs", "self"}) BOOST_TEST(!tar.file_through_links(name), name);
    BOOST_TEST(!tar.file("y/layer.tar"));
}

BOOST_AUTO_TEST_CASE(names_that_climb_or_are_absolute_are_refused) {
    BOOST_TEST(contains(refused(tar_member("../a", "x") + tar_end()).message(), "climbs"));
    BOOST_TEST(contains(refused(tar_member("a/../../b", "x") + tar_end()).message(), "climbs"));
    BOOST_TEST(contains(refused(tar_member("/etc/passwd", "x") + tar_end()).message(), "absolute name"));
    BOOST_TEST(contains(refused(with_pax(pax_record("path", "/a"), tar_member("ok", "x")) + tar_end()).message(),
                        "absolute name"));
    BOOST_TEST(contains(
        refused(with_pax(pax_record("path", std::string("a\0b", 3)), tar_member("ok", "x")) + tar_end()).message(),
        "NUL"));
    BOOST_TEST(contains(
        refused(with_pax(pax_record("path", std::string(5000, 'a')), tar_member("ok", "x")) + tar_end()).message(),
        "the limit is 4096"));
    BOOST_TEST(
        contains(refused(tar_member("L", std::string(100000, 'a'), 'L') + tar_member("ok", "x") + tar_end()).message(),
                 "the limit is 4097"));
}

BOOST_AUTO_TEST_CASE(a_cut_archive_is_called_truncated) {
    const std::string whole = tar_member("a", std::string(2000, 'x')) + tar_member("b", "y") + tar_end();
    BOOST_TEST(contains(refused(whole.substr(0, 1500)).message(), "A is truncated: it ends inside \"a\""));
    BOOST_TEST(contains(refused(whole.substr(0, 512 + 2048 + 100)).message(), "truncated"));
    BOOST_TEST(contains(refused(whole.substr(0, 100)).message(), "is not a tar archive"));
    BOOST_TEST(contains(refused("").message(), "A is empty"));
    // Missing end blocks and missing padding after the last member do no harm.
    BOOST_TEST(content(index_of(whole.substr(0, whole.size() - 1024)), "b") == "y");
    BOOST_TEST(content(index_of(whole.substr(0, whole.size() - 1024 - 511)), "b") == "y");
    BOOST_TEST(index_of(tar_end()).count() == 0u);
}

BOOST_AUTO_TEST_CASE(damage_in_the_middle_is_found_by_the_checksum) {
    std::string bytes = tar_member("a", "x") + tar_member("b", "y") + tar_end();
    bytes[1024 + 5] ^= 1;
    BOOST_TEST(contains(refused(bytes).message(), "no valid tar header at byte 1024"));
    bytes[1024 + 5] ^= 1;
    bytes[5] ^= 1;
    BOOST_TEST(contains(refused(bytes).message(), "is not a tar archive"));
}

BOOST_AUTO_TEST_CASE(sizes_out_of_range_are_refused) {
    std::string header = tar_header("a", 0);
    const auto with_size = [&](const std::string& field) {
        std::string h = header;
        h.replace(124, 12, field);
        h.replace(148, 8, "        ");
        uint64_t sum = 0;
        for (char c : h) sum += static_cast<unsigned char>(c);
        char text[8];
        std::snprintf(text, sizeof text, "%06o", static_cast<unsigned>(sum));
        h.replace(148, 7, std::string(text, 7));
        return h + std::string(2048, '\0');
    };
    BOOST_TEST(contains(refused(with_size("77777777777\0")).message(), "truncated"));
    BOOST_TEST(contains(refused(with_size(std::string(12, '\xff'))).message(), "no number in range"));
    BOOST_TEST(contains(refused(with_size("\x80" + std::string(11, '\xff'))).message(), "no number in range"));
    BOOST_TEST(contains(refused(with_size("\x80" + std::string(3, '\0') + "\x7f" + std::string(7, '\xff'))).message(),
                        "no number in range"));
    BOOST_TEST(contains(refused(with_size(std::string("12x45\0\0\0\0\0\0\0", 12))).message(), "no number in range"));
    BOOST_TEST(contains(refused(with_pax(pax_record("size", "9223372036854775807"), header) + tar_end()).message(),
                        "pax header"));
    BOOST_TEST(contains(refused(with_pax(pax_record("size", "-1"), header) + tar_end()).message(), "pax header"));
}

BOOST_AUTO_TEST_CASE(damaged_pax_headers_are_refused) {
    for (const std::string& bad :
         {std::string("99 path=a\n"), std::string("x path=a\n"), std::string("3 =\n"), std::string("9 path=a"),
          std::string("0 \n"), std::string("99999999999999999999 path=a\n"), std::string("8 patha\n")})
        BOOST_TEST(contains(refused(with_pax(bad, tar_member("a", "x")) + tar_end()).message(), "damaged pax header"),
                   bad);
    BOOST_TEST(contains(refused(tar_member("pax", std::string((1 << 20) + 1, 'x'), 'x') + tar_end()).message(),
                        "the limit is 1048576"));
}

BOOST_AUTO_TEST_CASE(sparse_members_are_refused_with_a_way_out) {
    for (const std::string& bytes :
         {tar_member("a", "x", 'S'), with_pax(pax_record("GNU.sparse.major", "1"), tar_member("a", "x"))}) {
        const Error e = refused(bytes + tar_end());
        BOOST_TEST(contains(e.message(), "sparse"));
        BOOST_TEST((e.code() == Code::unsupported));
    }
}

BOOST_AUTO_TEST_CASE(a_member_is_read_by_several_threads_at_once) {
    const fixture::Scratch dir;
    const std::string a(3000000, 'a'), b(2500001, 'b');
    const std::string path = dir.write("a.tar", tar_member("a", a) + tar_member("b", b) + tar_end());
    uint64_t size = 0;
    Fd fd = open_regular(path, size);
    const TarIndex tar(std::move(fd), size, path, nobody);
    auto one = tar.stream(*tar.file("a"), "a", nobody), two = tar.stream(*tar.file("b"), "b", nobody);
    std::string got_a, got_b;
    for (;;) {
        const Slice x = one->next(), y = two->next();
        got_a += x.text();
        got_b += y.text();
        if (x.size() == 0 && y.size() == 0) break;
    }
    BOOST_TEST((got_a == a));
    BOOST_TEST((got_b == b));
}

BOOST_AUTO_TEST_CASE(a_file_that_shrinks_while_it_is_read_is_an_error_and_no_short_layer) {
    const fixture::Scratch dir;
    const std::string path = dir.write("a.tar", tar_member("a", std::string(3000000, 'a')) + tar_end());
    uint64_t size = 0;
    Fd fd = open_regular(path, size);
    const TarIndex tar(std::move(fd), size, path, nobody);
    auto stream = tar.stream(*tar.file("a"), "a", nobody);
    (void)stream->next();
    std::filesystem::resize_file(path, 1500000);
    BOOST_TEST(contains(error_of([&] {
                            while (stream->next().size() > 0) {
                            }
                        }).message(),
                        "early"));
}

BOOST_AUTO_TEST_CASE(archives_of_other_projects_are_indexed_or_refused_without_harm) {
    const std::string data = fixture::shared_data();
    if (data.empty()) return;
    int indexed = 0;
    for (const char* folder : {"/archives", "/tar", "/oci"})
        for (const auto& f : std::filesystem::recursive_directory_iterator(data + folder)) {
            if (!f.is_regular_file() || f.path().extension() != ".tar") continue;
            try {
                uint64_t size = 0;
                Fd fd = open_regular(f.path().string(), size);
                const TarIndex tar(std::move(fd), size, f.path().string(), nobody);
                ++indexed;
            } catch (const Error& e) {
                BOOST_TEST_MESSAGE(e.message());
                BOOST_TEST((e.code() != Code::internal));
            }
        }
    BOOST_TEST(indexed > 10);
}

BOOST_AUTO_TEST_CASE(compressed_archives_give_the_same_bytes_in_their_order) {
    std::string bytes = tar_member("a", "one") + tar_member("b", std::string(300000, 'b')) + tar_end();
    for (const char* program : {"gzip", "xz", "zstd", "bzip2", "cat"}) {
        const std::string packed = fixture::compress(program, bytes);
        if (packed.empty()) {
            BOOST_TEST_MESSAGE("skipped: no " << program);
            continue;
        }
        const fixture::Scratch dir;
        const std::string path = dir.write("a.tar.x", packed);
        BOOST_TEST(is_plain_archive(path, "") == (std::string(program) == "cat"), program);
        uint64_t size = 0;
        DecompressedInput in(open_regular(path, size), path);
        TarReader reader(in, path);
        TarEntry e;
        BOOST_TEST(reader.next(e));
        BOOST_TEST(e.name == "a");
        BOOST_TEST(in.peek(3).substr(0, 3) == "one");
        BOOST_TEST(reader.next(e));
        BOOST_TEST(e.size == 300000u);
        BOOST_TEST(!reader.next(e));
        // Cut short: an error and no silent end.
        if (std::string(program) != "cat") {
            DecompressedInput cut(open_regular(dir.write("cut", packed.substr(0, packed.size() / 2)), size), "CUT");
            TarReader r(cut, "CUT");
            BOOST_TEST(contains(error_of([&] {
                                    TarEntry x;
                                    while (r.next(x)) {
                                    }
                                }).message(),
                                "CUT is"),
                       program);
        }
    }
}

BOOST_AUTO_TEST_CASE(several_gzip_members_are_one_archive) {
    const std::string bytes = tar_member("a", "one") + tar_member("b", "two") + tar_end();
    const std::string first = fixture::compress("gzip", bytes.substr(0, 700)),
                      second = fixture::compress("gzip", bytes.substr(700));
    const fixture::Scratch dir;
    uint64_t size = 0;
    DecompressedInput in(open_regular(dir.write("x", first + second), size), "X");
    TarReader reader(in, "X");
    TarEntry e;
    BOOST_TEST(reader.next(e));
    BOOST_TEST(reader.next(e));
    BOOST_TEST(e.name == "b");
    BOOST_TEST(!reader.next(e));
}

BOOST_AUTO_TEST_SUITE_END()
