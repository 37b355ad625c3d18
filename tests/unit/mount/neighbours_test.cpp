// Small files that are sent before they are asked for.
#include <sys/ioctl.h>

#include <boost/test/unit_test.hpp>

#include "client.hpp"

using fake::Client;
using fake::Root;

namespace {

// A directory "d" of `count` small files "f000", ... of which each `per_block` share one.
struct Image : Root {
    explicit Image(int count, int per_block = 1000000) {
        dir = add(root(), "d", S_IFDIR | 0755);
        for (int i = 0; i < count; ++i) {
            const auto n = add(dir, name(i), S_IFREG | 0644, content(i));
            at(n).shared = static_cast<uint64_t>(i / per_block);
        }
    }
    static std::string name(int i) { return "f" + std::to_string(1000 + i); }
    static std::string content(int i) { return "content " + std::to_string(i); }
    uint64_t dir;
};

// Reads a file and gives the contents that were sent before its answer.
std::vector<std::string> sent_with(Client& c, uint64_t dir, int i) {
    const size_t before = c.stored(0).size();
    const auto id = c.id(dir, Image::name(i));
    BOOST_TEST(c.read(id, 0, 4096).body == Image::content(i));
    std::vector<std::string> out;
    for (size_t k = before; k < c.stored(0).size(); ++k) {
        const auto& s = c.stored(0)[k];
        BOOST_TEST(s.offset == 0u);
        BOOST_TEST(s.id != id);
        out.push_back(s.data);
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(neighbours)

BOOST_AUTO_TEST_CASE(files_of_the_same_directory_and_block_come_before_the_answer) {
    Image image(10, 6);
    image.add(image.dir, "alone", S_IFREG | 0644, "no shared block");
    image.at(image.add(image.dir, "sub", S_IFDIR | 0755)).shared = 0;
    Client c(image);
    const auto d = c.id(1, "d");
    c.list(d, 65536, true);
    const std::vector<std::string> expected{"content 3", "content 4", "content 5", "content 1", "content 0"};
    BOOST_TEST(sent_with(c, d, 2) == expected, boost::test_tools::per_element());
    BOOST_TEST(sent_with(c, d, 2).empty());
    BOOST_TEST(sent_with(c, d, 7).size() == 3u);  // the other block
    BOOST_TEST(c.stored(0)[0].id == c.id(d, Image::name(3)));
}

// The kernel holds the page of a file that is being read until the answer: to send it meanwhile would be to wait for oneself.
BOOST_AUTO_TEST_CASE(a_file_is_not_sent_under_another_of_its_names_while_it_is_read) {
    Image image(6);
    const uint64_t node = image.at(image.dir).children[Image::name(2)];
    image.at(image.dir).children["f1002.again"] = node;
    image.at(image.dir).children["a"] = node;
    image.at(node).attr.nlink = 3;
    Client c(image);
    const auto d = c.id(1, "d");
    c.list(d, 65536, true);
    BOOST_TEST(sent_with(c, d, 2).size() == 5u);  // sent_with looks that none of them is the file itself
    BOOST_TEST(sent_with(c, d, 4).size() <= 1u);
}

BOOST_AUTO_TEST_CASE(a_first_read_sends_a_few_and_a_second_one_all) {
    Image image(400);
    Client c(image);
    const auto d = c.id(1, "d");
    c.list(d, 65536, true);
    BOOST_TEST(sent_with(c, d, 0).size() == 16u);
    BOOST_TEST(sent_with(c, d, 200).size() == 16u);
    std::set<std::string> all;  // the rest comes after the answer
    for (const auto& s : c.stored(398)) BOOST_TEST(all.insert(s.data).second);
    BOOST_TEST(!all.count(Image::content(0)));
    BOOST_TEST(!all.count(Image::content(200)));
    BOOST_TEST(sent_with(c, d, 100).empty());
}

BOOST_AUTO_TEST_CASE(a_directory_that_nobody_listed_sends_nothing) {
    Image image(50);
    Client c(image);
    const auto d = c.id(1, "d");
    BOOST_TEST(sent_with(c, d, 0).empty());
    BOOST_TEST(sent_with(c, d, 1).empty());
}

BOOST_AUTO_TEST_CASE(files_that_are_asked_for_again_are_sent_again) {
    Image image(40);
    Client c(image);
    const auto d = c.id(1, "d");
    c.list(d, 65536, true);
    sent_with(c, d, 0);
    sent_with(c, d, 20);
    c.stored(38);
    int i = 0;
    std::vector<std::string> sent;
    // More rounds than one: on a busy machine the thread that sent the 38 may still be at it for some reads.
    for (; i < 39 * 50 && sent.empty(); ++i) sent = sent_with(c, d, i % 39);
    BOOST_TEST(i >= 18);  // so many may be chance
    BOOST_TEST(sent.size() == 16u);
}

BOOST_AUTO_TEST_CASE(a_large_directory_is_looked_through_only_for_a_second_read) {
    Image image(3000);
    Client c(image);
    const auto d = c.id(1, "d");
    c.list(d, 65536, true);
    BOOST_TEST(sent_with(c, d, 0).empty());
    BOOST_TEST(sent_with(c, d, 1).size() == 16u);
}

BOOST_AUTO_TEST_CASE(a_file_that_lies_in_a_shared_block_only_in_part_is_not_sent) {
    class Split : public Root {
        sg_placement placement(uint64_t node) override { return {1, 0, node == big ? 5 : at(node).data.size()}; }

    public:
        uint64_t big = 0;
    } root;
    root.add(root.root(), "a", S_IFREG | 0644, "aa");
    root.big = root.add(root.root(), "b", S_IFREG | 0644, "bigger than its tail");
    root.add(root.root(), "c", S_IFREG | 0644, "cc");
    Client c(root);
    c.list(1, 4096, true);
    c.read(c.id(1, "a"), 0, 4096);
    BOOST_REQUIRE(c.stored(0).size() == 1u);
    BOOST_TEST(c.stored(0)[0].data == "cc");
}

// As interpreters ask of each file that they open, right before they read it.
BOOST_AUTO_TEST_CASE(who_asks_whether_a_file_is_a_terminal_has_its_start_before_the_answer) {
    Root root;
    const std::string large(300000, 'x');
    root.add(root.root(), "small", S_IFREG | 0644, "read soon");
    root.add(root.root(), "large", S_IFREG | 0644, large);
    root.add(root.root(), "empty", S_IFREG | 0644, "");
    root.add(root.root(), "other", S_IFREG | 0644, "asked something else");
    root.add(root.root(), "dir", S_IFDIR | 0755);
    Client c(root);
    const auto small = c.id(1, "small");
    const auto ask = [&](uint64_t id, uint32_t command, uint32_t flags = 0) {
        fuse_ioctl_in in{};
        in.cmd = command;
        in.flags = flags;
        BOOST_TEST(c.ask_with(FUSE_IOCTL, id, in).error == -ENOTTY);
    };
    // Only where another thread can answer meanwhile: until the server has started one, nothing is sent.
    while (c.stored(0).empty()) ask(small, TCGETS);
    BOOST_REQUIRE(c.stored(0).size() == 1u);
    BOOST_TEST(c.stored(0)[0].id == small);
    BOOST_TEST(c.stored(0)[0].offset == 0u);
    BOOST_TEST(c.stored(0)[0].data == "read soon");
    ask(small, TCGETS);
    ask(c.id(1, "other"), FIONREAD);
    ask(c.id(1, "empty"), TCGETS);
    ask(c.id(1, "dir"), TCGETS, FUSE_IOCTL_DIR);
    BOOST_TEST(c.stored(0).size() == 1u);
    ask(c.id(1, "large"), TCGETS);
    BOOST_REQUIRE(c.stored(0).size() == 2u);
    BOOST_TEST((large.starts_with(c.stored(0)[1].data) && c.stored(0)[1].data.size() >= 4096));
}

BOOST_AUTO_TEST_CASE(files_of_a_listed_directory_are_sent_by_their_neighbours_alone) {
    Image image(3);
    Client c(image);
    const auto d = c.id(1, "d");
    c.list(d, 65536, true);
    fuse_ioctl_in in{};
    in.cmd = TCGETS;
    BOOST_TEST(c.ask_with(FUSE_IOCTL, c.id(d, Image::name(1)), in).error == -ENOTTY);
    BOOST_TEST(c.stored(0).empty());
    BOOST_TEST(sent_with(c, d, 1).size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_damaged_neighbour_stops_the_pass_and_harms_nothing) {
    Image image(20);
    Client c(image);
    const auto d = c.id(1, "d");
    c.list(d, 65536, true);
    const auto bad = image.lookup(image.dir, Image::name(5));
    image.broken.insert(bad);
    BOOST_TEST(sent_with(c, d, 0).size() <= 16u);
    BOOST_TEST(c.read(c.id(d, Image::name(9)), 0, 4096).body == Image::content(9));
}

BOOST_AUTO_TEST_SUITE_END()
