#include "support.hpp"

using namespace sg::definition;

BOOST_AUTO_TEST_CASE(placeholders_take_what_was_given_before_the_defaults) {
    const std::string text = head + "%arguments\n A=one\n # B=no\n B = two words \n%post\n echo {{A}} {{  B  }} {{A}}{{B}}\n";
    BOOST_TEST(parsed(text).last().section("post")->body() == " echo one two words onetwo words\n");
    BOOST_TEST(parsed(text, {{{"A", "x"}}}).last().section("post")->body() == " echo x two words xtwo words\n");
}

BOOST_AUTO_TEST_CASE(headers_are_substituted_too) {
    const auto d = parsed("Bootstrap: docker\nFrom: alpine:{{ TAG }}\n%arguments\nTAG=3.18\n");
    BOOST_TEST(d.last().value("from") == "alpine:3.18");
    BOOST_TEST(has(d.text(), "from: alpine:3.18\n"));
}

BOOST_AUTO_TEST_CASE(a_value_may_hold_placeholders_one_level_deep) {
    const std::string text = head + "%arguments\nA={{ B }}!\nB=b{{ C }}\nC=c\n%post\n{{ A }} {{ B }}\n";
    BOOST_TEST(parsed(text).last().section("post")->body() == "b{{ C }}! bc\n");
}

BOOST_AUTO_TEST_CASE(a_name_that_refers_to_itself_ends) {
    BOOST_TEST(parsed(head + "%arguments\nA={{ A }}\n%post\n{{ A }}\n").last().section("post")->body() == "{{ A }}\n");
}

BOOST_AUTO_TEST_CASE(comments_stay_and_a_shebang_is_none) {
    const auto d = parsed(head + "%runscript\n#!/bin/{{ S }}\n # {{ NOTHING }}\n", {{{"S", "bash"}}});
    BOOST_TEST(d.last().section("runscript")->body() == "#!/bin/bash\n # {{ NOTHING }}\n");
}

BOOST_AUTO_TEST_CASE(what_is_no_placeholder_stays) {
    const auto d = parsed(head + "%post\n {{a-b}} {{}} {{ }} {{ x y }} {a} }}{{ ${{x}\n");
    BOOST_TEST(d.last().section("post")->body() == " {{a-b}} {{}} {{ }} {{ x y }} {a} }}{{ ${{x}\n");
}

BOOST_AUTO_TEST_CASE(a_missing_value_is_named_with_its_place) {
    const auto f = failure(head + "%arguments\nVERSION=1\n%post\n  echo {{ VERSON }}\n");
    BOOST_TEST(has(f, "x.def:6:8: build var VERSON is not defined through either --build-arg (--build-arg-file) or 'arguments' section"));
    BOOST_TEST(has(f, "Did you mean 'VERSION'?"));
}

BOOST_AUTO_TEST_CASE(an_argument_that_nothing_uses_is_an_error_or_a_finding) {
    BOOST_TEST(has(failure(head, {{{"A", "1"}}}), "the build argument 'A' is used nowhere in x.def"));
    const auto d = parsed(head, {{{"A", "1"}}, true});
    BOOST_TEST(d.findings[0].rule == "unused-argument");
}

BOOST_AUTO_TEST_CASE(defaults_belong_to_their_stage) {
    const std::string text = head + "Stage: a\n%arguments\nA=1\n%post\n{{ A }}\n" + head + "%post\n{{ A }}\n";
    BOOST_TEST(has(failure(text), "x.def:11:1: build var A is not defined"));
    BOOST_TEST(parsed(text, {{{"A", "2"}}}).last().section("post")->body() == "2\n");
}

BOOST_AUTO_TEST_CASE(a_value_of_several_lines_keeps_the_number_of_its_line) {
    const auto d = parsed(head + "%post\n{{ A }}\nend\n", {{{"A", "x\ny"}}});
    const auto& lines = d.last().section("post")->lines;
    BOOST_REQUIRE(lines.size() == 3u);
    BOOST_TEST(lines[1].number == 4u);
    BOOST_TEST(lines[2].number == 5u);
}

BOOST_AUTO_TEST_CASE(wrong_arguments_are_refused_without_showing_a_value) {
    BOOST_CHECK_THROW(parse_build_argument("A"), sg::Error);
    BOOST_CHECK_THROW(parse_build_argument("=x"), sg::Error);
    try {
        parse_build_argument("A B=secret");
    } catch (const sg::Error& e) {
        BOOST_TEST(!has(e.message(), "secret"));
    }
    BOOST_TEST(parse_build_argument("A=b=c ").second == "b=c ");
    BOOST_TEST(has(failure(head + "%arguments\nA\n"), "x.def:4:1: an argument is not of the form NAME=VALUE"));
}

BOOST_AUTO_TEST_CASE(a_stage_knows_what_was_substituted_in_it) {
    const auto d = parsed(head + "Stage: a\n%arguments\nA=1\nB=2\n%post\n{{ A }}\n" + head + "%post\n{{ C }}\n", {{{"C", "3"}}});
    BOOST_TEST((d.stages[0].arguments == Values{{"A", "1"}}));
    BOOST_TEST((d.stages[1].arguments == Values{{"C", "3"}}));
}
