// What results of stages are made of, and how a change of it is named.
#include <stdlib.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "build/stage_results.hpp"
#include "store/output.hpp"

using namespace sg;

namespace {

StageInputs inputs(const std::string& post, const std::string& file, const std::string& argument = "1") {
    StageInputs out;
    out.add("the base", "abc");
    out.add("%post", post);
    out.add("%files menu.txt", file);
    out.note("build argument VERSION", argument);
    return out;
}

std::string told(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& text : list) out += "[" + text + "]";
    return out;
}

struct Kept {
    std::string path;
    Kept() {
        char name[] = "/tmp/sg-results-XXXXXX";
        path = mkdtemp(name);
    }
    ~Kept() { remove_tree(path); }
    StageResults results(const std::string& origin, int64_t days = 7) const { return {path + "/cache", origin, days}; }
    void store(const StageResults& to, const StageInputs& of) const {
        OutputFile file(to.place("changes", of));
        BOOST_REQUIRE_EQUAL(write(file.fd(), "x", 1), 1);
        file.commit();
        to.stored(file.target(), of);
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(stage_inputs)

BOOST_AUTO_TEST_CASE(equal_inputs_have_one_key_and_any_other_has_another) {
    BOOST_TEST(inputs("a", "b").key() == inputs("a", "b").key());
    BOOST_TEST(inputs("a", "b").key() != inputs("A", "b").key());
    BOOST_TEST(inputs("a", "b").key() != inputs("a", "B").key());
    // What only explains is no part of it.
    BOOST_TEST(inputs("a", "b", "1").key() == inputs("a", "b", "2").key());
}

BOOST_AUTO_TEST_CASE(the_input_that_changed_is_named) {
    const StageInputs before = inputs("a", "b");
    BOOST_TEST(told(inputs("a", "b").changed_since(before)) == "");
    BOOST_TEST(told(inputs("A", "b").changed_since(before)) == "[%post changed]");
    BOOST_TEST(told(inputs("A", "B").changed_since(before)) == "[%post changed][%files menu.txt changed]");
    BOOST_TEST(told(inputs("A", "b", "2").changed_since(before)) == "[build argument VERSION changed][%post changed]");
    // An argument that nothing else depends on is no reason.
    BOOST_TEST(told(inputs("a", "b", "2").changed_since(before)) == "");
    StageInputs more = inputs("a", "b");
    more.add("%files other", "x");
    BOOST_TEST(told(more.changed_since(before)) == "[%files other is new]");
    BOOST_TEST(told(before.changed_since(more)) == "[%files other is gone]");
}

BOOST_AUTO_TEST_CASE(they_are_kept_as_lines_whatever_a_file_is_called) {
    StageInputs strange;
    strange.add("%files a\nb", "1");
    strange.add("%files a\nb", "2");
    strange.note("note x", "");
    const StageInputs read = StageInputs::parse(strange.text());
    BOOST_TEST(read.key() == strange.key());
    BOOST_TEST(told(strange.changed_since(read)) == "");
    BOOST_TEST(told(StageInputs::parse("nonsense\n\nnote \n").changed_since({})) == "");
}

BOOST_AUTO_TEST_CASE(a_result_is_found_again_and_why_another_is_not) {
    const Kept kept;
    const StageResults mine = kept.results("/x.def 0");
    const StageInputs first = inputs("a", "b");
    BOOST_TEST(!mine.find("changes", first));
    BOOST_TEST(mine.why_not("changes", first) == "no earlier build of it is kept");
    kept.store(mine, first);
    BOOST_TEST(!!mine.find("changes", first));
    // Whoever asks for the same may have it.
    BOOST_TEST(!!kept.results("/y.def 0").find("changes", first));
    BOOST_TEST(mine.why_not("changes", inputs("A", "b")).starts_with("%post changed since the build of "));
    BOOST_TEST(kept.results("/y.def 0").why_not("changes", inputs("A", "b")) == "no earlier build of it is kept");
}

BOOST_AUTO_TEST_CASE(old_results_are_not_used_and_that_is_said) {
    const Kept kept;
    const StageResults none = kept.results("/x.def 0", -1);
    const StageInputs of = inputs("a", "b");
    kept.store(none, of);
    BOOST_TEST(!none.find("changes", of));
    BOOST_TEST(none.why_not("changes", of).ends_with("is too old (build.reuse_days is -1)"));
}

BOOST_AUTO_TEST_CASE(ages_are_told_in_words) {
    BOOST_TEST(shown_age(1) == "1 second");
    BOOST_TEST(shown_age(90) == "1 minute");
    BOOST_TEST(shown_age(3 * 86400) == "3 days");
}

BOOST_AUTO_TEST_SUITE_END()
