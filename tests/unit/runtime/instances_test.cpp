#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <singularity/text.hpp>

#include "base/error.hpp"
#include "runtime/base64.hpp"
#include "runtime/instances.hpp"
#include "scratch.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(instances)

namespace {

// What the launcher says of each, by name.
struct World {
    Scratch scratch;
    Instances all{scratch.path, "me"};
    std::vector<std::string> running, forgotten;
    Instances::Launchers launchers{[this](const Instance& i) { return std::find(running.begin(), running.end(), i.name) != running.end(); },
                                   [this](const Instance& i) { forgotten.push_back(i.name); }};

    void start(const std::string& name) {
        Reservation r = all.reserve(name, launchers);
        Instance i;
        i.name = name;
        i.user = "me";
        i.image = "/images/x.sif";
        i.launcher = "any";
        i.config = "{\"quote\":\"\\\"\"}";
        i.pid = 42;
        i.directory = r.directory();
        all.write(i);
        r.keep();
        running.push_back(name);
    }
    std::string names(const std::string& pattern = {}) {
        std::string out;
        for (const auto& i : all.list(pattern, launchers)) out += i.name + " ";
        return out;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(base_64_goes_both_ways) {
    for (const char* text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) BOOST_TEST(from_base64(singularity::base64(text)) == text);
    BOOST_TEST(singularity::base64("foob") == "Zm9vYg==");
    BOOST_TEST(singularity::base64(std::string("\xff\x00\xfe", 3)) == "/wD+");
    BOOST_TEST(from_base64("Zm9v!") == "");
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
    World w;
    w.start("web");
    const auto i = w.all.find("web", w.launchers);
    BOOST_REQUIRE(i);
    BOOST_TEST(i->image == "/images/x.sif");
    BOOST_TEST(i->config == "{\"quote\":\"\\\"\"}");
    BOOST_TEST(i->pid == 42);
}

BOOST_AUTO_TEST_CASE(names_are_listed_in_order_and_by_pattern) {
    World w;
    for (const char* name : {"web2", "db", "web1"}) w.start(name);
    BOOST_TEST(w.names() == "db web1 web2 ");
    BOOST_TEST(w.names("web*") == "web1 web2 ");
}

BOOST_AUTO_TEST_CASE(a_name_in_use_is_refused) {
    World w;
    w.start("web");
    BOOST_CHECK_EXCEPTION(w.all.reserve("web", w.launchers), Error, [](const Error& e) { return e.code() == Code::exists; });
}

BOOST_AUTO_TEST_CASE(what_a_dead_one_left_is_taken_away) {
    World w;
    w.start("web");
    w.running.clear();
    BOOST_TEST(w.names() == "");
    BOOST_TEST(w.forgotten.size() == 1u);
    w.start("web");
    BOOST_TEST(w.names() == "web ");
}

BOOST_AUTO_TEST_CASE(a_start_that_fails_leaves_nothing) {
    World w;
    std::string directory;
    {
        const Reservation r = w.all.reserve("web", w.launchers);
        directory = r.directory();
        BOOST_TEST(std::filesystem::exists(directory));
    }
    BOOST_TEST(!std::filesystem::exists(directory));
}

BOOST_AUTO_TEST_CASE(while_one_process_starts_another_neither_starts_nor_clears_it) {
    World w;
    Reservation r = w.all.reserve("web", w.launchers);
    const pid_t child = fork();
    if (child == 0) {  // its locks are its own
        try {
            (void)w.all.reserve("web", w.launchers);
        } catch (const Error& e) {
            if (e.code() == Code::exists && !w.all.find("web", w.launchers)) _exit(7);
        }
        _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    BOOST_TEST(WEXITSTATUS(status) == 7);
    BOOST_TEST(std::filesystem::exists(r.directory()));
}

BOOST_AUTO_TEST_CASE(a_damaged_file_is_no_instance) {
    World w;
    w.start("web");
    const auto i = w.all.find("web", w.launchers);
    for (const char* text : {"", "{", "[]", "{\"pid\":\"x\"}"}) {
        std::ofstream(i->directory + "/web.json") << text;
        BOOST_TEST(w.names() == "");
        w.running.clear();
        w.start("web");
    }
}

BOOST_AUTO_TEST_CASE(names_that_climb_or_hide_are_refused) {
    for (const char* name : {"", ".", "..", "a/b", "a b", "lock", "\n", "a\xc3\xa4"})
        BOOST_CHECK_EXCEPTION(Instances::check_name(name), Error, [](const Error& e) { return e.code() == Code::usage; });
    BOOST_CHECK_NO_THROW(Instances::check_name("A-1_b.c"));
}

BOOST_AUTO_TEST_CASE(an_entry_of_another_program_counts_while_its_supervisor_has_the_title) {
    BOOST_TEST(!foreign_instance_lives(0));
    BOOST_TEST(!foreign_instance_lives(getpid()));
}

BOOST_AUTO_TEST_SUITE_END()
