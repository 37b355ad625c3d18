#include "build/overwrite.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/error.hpp"
#include "store/output.hpp"

namespace {

struct Scratch {
    std::string path;
    std::streambuf* before = std::cin.rdbuf();
    std::istringstream answer;
    explicit Scratch(const std::string& typed = "") : answer(typed) {
        char name[] = "/tmp/sg-build-XXXXXX";
        path = mkdtemp(name);
        std::cin.rdbuf(answer.rdbuf());
        std::cin.clear();
    }
    ~Scratch() {
        std::cin.rdbuf(before);
        sg::remove_tree(path);
    }
};

bool refused(const std::string& target, bool directory, bool force) {
    try {
        sg::allow_overwrite(target, directory, force);
        return false;
    } catch (const sg::Error& e) {
        BOOST_CHECK(e.code() == sg::Code::exists);
        return true;
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_new_target_needs_no_question) {
    Scratch s;
    BOOST_CHECK(!refused(s.path + "/new", false, false));
}

BOOST_AUTO_TEST_CASE(only_a_yes_replaces_a_file) {
    for (const auto& [typed, no] : {std::pair<const char*, bool>{"y\n", false}, {"Y\n", false}, {"n\n", true}, {"\n", true}, {"", true}}) {
        Scratch s(typed);
        std::ofstream(s.path + "/x") << "x";
        BOOST_CHECK_EQUAL(refused(s.path + "/x", false, false), no);
    }
}

BOOST_AUTO_TEST_CASE(force_asks_nothing) {
    Scratch s;
    std::ofstream(s.path + "/x") << "x";
    BOOST_CHECK(!refused(s.path + "/x", false, true));
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_no_image_is_never_replaced) {
    Scratch s("y\n");
    std::ofstream(s.path + "/thesis.tex") << "years of work";
    BOOST_CHECK(refused(s.path, true, true));
    BOOST_CHECK(refused(s.path, false, true));
}

BOOST_AUTO_TEST_CASE(an_image_directory_and_an_empty_one_may_be_replaced_by_a_directory_only) {
    Scratch s;
    BOOST_CHECK(!refused(s.path, true, true));
    mkdir((s.path + "/.singularity.d").c_str(), 0755);
    BOOST_CHECK(!refused(s.path, true, true));
    BOOST_CHECK(refused(s.path, false, true));
}
