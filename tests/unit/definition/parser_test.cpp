#include "support.hpp"

using namespace sg::definition;

BOOST_AUTO_TEST_SUITE(header)

BOOST_AUTO_TEST_CASE(keys_are_case_insensitive_and_may_have_blanks_around_them) {
    const auto d = parsed("  bOOtstrap :  docker  \nFROM:alpine:3.18 # not this\nNamespace: me\n");
    BOOST_TEST(d.stages.size() == 1u);
    BOOST_TEST(d.last().value("bootstrap") == "docker");
    BOOST_TEST(d.last().value("from") == "alpine:3.18");
    BOOST_TEST(d.last().value("namespace") == "me");
    BOOST_TEST(d.last().key("from")->value_at.column == 6u);
}

BOOST_AUTO_TEST_CASE(comments_and_empty_lines_may_stand_before_and_in_the_header) {
    const auto d = parsed("# a comment\n\n   # another\nBootstrap: docker\n#From: no\nFrom: yes\n");
    BOOST_TEST(d.last().value("from") == "yes");
    BOOST_TEST(d.last().header.size() == 2u);
}

BOOST_AUTO_TEST_CASE(messages_hold_nothing_that_a_terminal_obeys) {
    const std::string text = "Bootstrap: scratch\n%po\033[31mst\n";
    try {
        parsed(text);
        BOOST_ERROR("it was accepted");
    } catch (const sg::Error& e) {
        BOOST_TEST(e.message().find("specified: po?[31mst") != std::string::npos);
        BOOST_TEST((e.message() + e.hint()).find('\033') == std::string::npos);
    }
    for (const auto& finding : check(parsed("Bootstrap: scratch\n%labels\n A\033[31mB\n"), {})) BOOST_TEST(finding.message.find('\033') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_backslash_at_the_end_continues_the_value) {
    BOOST_TEST(parsed("Bootstrap: yum\nInclude: bash \\\n   vim\\\n gcc\nOSVersion: 7\n").last().value("include") == "bash vimgcc");
    BOOST_TEST(parsed("Bootstrap: yum\nInclude: a\\n\\\nb\n").last().value("include") == "a\nb");
    BOOST_TEST(parsed("Bootstrap: yum\nInclude: a\\").last().value("include") == "a");
    BOOST_TEST(parsed("Bootstrap: docker\nFrom: debian \\\n\n%post\n").last().value("from") == "debian");
}

BOOST_AUTO_TEST_CASE(numbered_keys_belong_to_the_key_without_number) {
    BOOST_TEST(parsed("Bootstrap: yum\nOtherURL12: http://x\n").last().value("otherurl12") == "http://x");
    BOOST_TEST(has(failure("Bootstrap: yum\nOtherURLx: http://x\n"), "invalid header keyword found: otherurlx"));
}

BOOST_AUTO_TEST_CASE(a_line_without_a_colon_is_named_with_its_place) {
    const auto f = failure("Bootstrap: docker\n  From alpine\n");
    BOOST_TEST(has(f, "x.def:2:3: header key From had no val"));
    BOOST_TEST(has(f, "  From alpine\n"));
    BOOST_TEST(has(failure("Bootstrap: docker\npost\n echo\n"), "Did you mean the section '%post'?"));
}

BOOST_AUTO_TEST_CASE(an_unknown_key_is_refused_with_the_nearest_one) {
    const auto f = failure("Bootstrap: docker\nFrmo: alpine\n");
    BOOST_TEST(has(f, "x.def:2:1: invalid header keyword found: frmo"));
    BOOST_TEST(has(f, "Did you mean 'from'?"));
    BOOST_TEST(has(f, "\n             ^"));
}

BOOST_AUTO_TEST_CASE(a_key_of_another_source_is_accepted_with_a_warning) {
    const auto d = parsed("Bootstrap: docker\nFrom: x\nMirrorURL: http://x\n");
    BOOST_REQUIRE(d.findings.size() == 1u);
    BOOST_TEST(d.findings[0].rule == "unused-key");
    BOOST_TEST(d.findings[0].at.line == 3u);
}

BOOST_AUTO_TEST_CASE(with_an_unknown_source_only_keys_that_somebody_knows_are_accepted) {
    BOOST_TEST(parsed("Bootstrap: other\nMirrorURL: http://x\n").last().value("mirrorurl") == "http://x");
    BOOST_TEST(has(failure("Bootstrap: other\nXyzzy: 1\n"), "invalid header keyword found: xyzzy"));
}

BOOST_AUTO_TEST_CASE(the_last_of_two_equal_keys_counts_and_that_is_said) {
    const auto d = parsed("Bootstrap: docker\nFrom: a\nFrom: b\n");
    BOOST_TEST(d.last().value("from") == "b");
    BOOST_TEST(d.findings[0].rule == "repeated-key");
}

BOOST_AUTO_TEST_CASE(a_missing_bootstrap_is_named) {
    BOOST_TEST(has(failure("From: alpine\n"), "x.def:1:1: the header has no 'Bootstrap:'"));
    BOOST_TEST(has(failure("%post\n echo\n"), "x.def: the header has no 'Bootstrap:'"));
    BOOST_TEST(has(failure("Bootstrap:\nFrom: x\n"), "'Bootstrap:' has no value"));
    BOOST_TEST(has(failure(""), "the definition is empty"));
    BOOST_TEST(has(failure(" \n\t\n"), "the definition is empty"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sections)

BOOST_AUTO_TEST_CASE(a_body_is_kept_as_it_is_written) {
    const auto d = parsed(head + "%post\n\n    a\n\tb  \n# c\n%test\n  x\n");
    BOOST_TEST(d.last().section("post")->body() == "\n    a\n\tb  \n# c\n");
    BOOST_TEST(d.last().section("test")->body() == "  x\n");
    BOOST_TEST(d.last().section("post")->lines[1].number == 5u);
}

BOOST_AUTO_TEST_CASE(names_are_case_insensitive_and_end_at_a_blank_or_a_tab) {
    const auto d = parsed(head + "%PoSt -c /bin/bash # why\n x\n%runScript\t-x\n y\n");
    BOOST_TEST(d.last().section("post")->arguments == "-c /bin/bash");
    BOOST_TEST(d.last().section("runscript")->arguments == "-x");
}

BOOST_AUTO_TEST_CASE(the_same_section_twice_is_one) {
    const auto d = parsed(head + "%post\n a\n%test\n t\n%post\n b\n");
    BOOST_TEST(d.last().section("post")->body() == " a\n b\n");
    BOOST_TEST(d.last().sections.size() == 2u);
}

BOOST_AUTO_TEST_CASE(an_unknown_section_is_refused_with_the_nearest_one) {
    const auto f = failure(head + "%psot\n x\n");
    BOOST_TEST(has(f, "x.def:3:1: invalid section(s) specified: psot"));
    BOOST_TEST(has(f, "Did you mean '%post'?"));
    BOOST_TEST(has(failure(head + "% help\n"), "a section without a name"));
    BOOST_TEST(has(failure(head + "%post\n x\n %labels\n"), "x.def:5:2: a line that begins with '%' begins a section, and this one is indented"));
    BOOST_TEST(has(failure(head + "%post\n cat <<E\n%d\nE\n"), "x.def:5:1: invalid section(s) specified: d"));
}

BOOST_AUTO_TEST_CASE(a_section_without_a_body_is_empty) {
    BOOST_TEST(parsed(head + "%post").last().section("post")->body() == "");
    BOOST_TEST(parsed(head + "%post\n\n # x\n").last().section("post")->blank());
    BOOST_TEST(!parsed(head + "%post\n\n x\n").last().section("post")->blank());
}

BOOST_AUTO_TEST_CASE(files_lines_have_a_source_and_a_destination) {
    const auto d = parsed(head + "%files\n  a /b\n# no\n\n c\n 'd e' \"/f g\" x\n h\\ i /j # why\n it's /k\n%files\n m\n");
    BOOST_REQUIRE(d.last().files.size() == 1u);
    const auto& p = d.last().files[0].pairs;
    BOOST_REQUIRE(p.size() == 6u);
    BOOST_TEST(p[0].source == "a");
    BOOST_TEST(p[0].destination == "/b");
    BOOST_TEST(p[1].destination == "");
    BOOST_TEST(p[2].source == "d e");
    BOOST_TEST(p[2].destination == "/f g");
    BOOST_TEST(p[3].source == "h i");
    BOOST_TEST(p[4].source == "it's");
    BOOST_REQUIRE(d.findings.size() == 1u);
    BOOST_TEST(d.findings[0].rule == "files-words");
    BOOST_TEST(d.findings[0].at.line == 8u);
}

BOOST_AUTO_TEST_CASE(labels_are_divided_at_the_first_blank) {
    const auto d = parsed(head + "%labels\n Author  Me and you\n# x\n\tVersion\t1\n Empty\n");
    BOOST_REQUIRE(d.last().labels.size() == 3u);
    BOOST_TEST(d.last().labels[0].name == "Author");
    BOOST_TEST(d.last().labels[0].value == "Me and you");
    BOOST_TEST(d.last().labels[1].value == "1");
    BOOST_TEST(d.findings[0].rule == "empty-label");
}

BOOST_AUTO_TEST_CASE(apps_keep_the_order_in_which_they_are_first_named) {
    const auto d = parsed(head + "%apprun foo\n exec foo\n%appfiles bar\n a b\n%appenv foo\n X=1\n%applabels foo\n K v\n%AppRun foo\n more\n");
    BOOST_REQUIRE(d.last().apps.size() == 2u);
    BOOST_TEST(d.last().apps[0].name == "foo");
    BOOST_TEST(d.last().apps[0].section("apprun")->body() == " exec foo\n more\n");
    BOOST_TEST(d.last().apps[0].labels[0].value == "v");
    BOOST_TEST(d.last().apps[1].files[0].destination == "b");
}

BOOST_AUTO_TEST_CASE(an_app_needs_a_name_that_is_no_path) {
    BOOST_TEST(has(failure(head + "%apprun\n x\n"), "app section apprun names no app"));
    BOOST_TEST(has(failure(head + "%apprun ../x\n x\n"), "'../x' cannot be the name of an app"));
    BOOST_TEST(has(failure(head + "%apprun ..\n x\n"), "'..' cannot be the name of an app"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(stages)

const std::string two = "Bootstrap: docker\nFrom: a\nStage: one\n%post\n x\n\nbootstrap: docker\nFrom: b\n";

BOOST_AUTO_TEST_CASE(each_begins_with_its_bootstrap) {
    const auto d = parsed(two + "Stage: two\n%files from one\n /a /b\n%files\n c\n");
    BOOST_REQUIRE(d.stages.size() == 2u);
    BOOST_TEST(d.stages[0].name == "one");
    BOOST_TEST(d.stages[1].at.line == 7u);
    BOOST_REQUIRE(d.last().files.size() == 2u);
    BOOST_TEST(d.last().files[0].stage == "one");
    BOOST_TEST(d.last().files[1].stage == "");
}

BOOST_AUTO_TEST_CASE(the_recorded_text_is_that_of_all_with_lower_case_keys) {
    const auto d = parsed("# c\nBootStrap: docker # From: x\nFrom: A\n%Post\n From: B\nBootstrap: docker\nFROM: b\\\nFrom: c\n");
    BOOST_TEST(d.text() == "# c\nbootstrap: docker # From: x\nfrom: A\n%Post\n From: B\nbootstrap: docker\nfrom: b\\\nFrom: c\n");
}

BOOST_AUTO_TEST_CASE(unknown_later_own_and_repeated_stages_are_refused) {
    BOOST_TEST(has(failure(two + "%files from oen\n a\n"), "x.def:9:1: there is no stage 'oen'"));
    BOOST_TEST(has(failure(two + "%files from oen\n a\n"), "Did you mean 'one'?"));
    BOOST_TEST(has(failure(two + "Stage: b\n%files from b\n a\n"), "cannot take files from itself"));
    BOOST_TEST(has(failure("Bootstrap: docker\nFrom: a\nStage: one\n%files from two\n a\nBootstrap: docker\nFrom: b\nStage: two\n"), "is built later than this one"));
    BOOST_TEST(has(failure(two + "Stage: one\n"), "x.def:9:8: two stages have the name 'one'"));
    BOOST_TEST(has(failure(head + "%files form one\n a\n"), "'form one' is not understood after %files"));
    BOOST_TEST(has(failure(head + "%files from\n a\n"), "is not understood after %files"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bytes)

BOOST_AUTO_TEST_CASE(windows_line_ends_a_byte_order_mark_and_a_missing_last_newline_are_fine) {
    const auto d = parsed("\xef\xbb\xbf" "Bootstrap: docker\r\nFrom: alpine\r\n%post\r\n  echo \xc3\xa4\r\n  end");
    BOOST_TEST(d.last().value("from") == "alpine");
    BOOST_TEST(d.last().section("post")->body() == "  echo \xc3\xa4\n  end\n");
}

BOOST_AUTO_TEST_CASE(a_nul_byte_and_utf16_are_named) {
    BOOST_TEST(has(failure(head + std::string("%post\n e\0x\n", 11)), "x.def:4:3: a NUL byte"));
    BOOST_TEST(has(failure(std::string("\xff\xfe" "B\0", 4)), "this is UTF-16 text"));
}

BOOST_AUTO_TEST_CASE(huge_lines_and_files_are_shown_in_part_or_refused) {
    const auto f = failure("Bootstrap: docker\n" + std::string(5'000'000, 'x') + "\n");
    BOOST_TEST(has(f, "x.def:2:1: header key"));
    BOOST_TEST(f.size() < 5'001'000u);
    BOOST_CHECK_THROW(parsed(std::string((16u << 20) + 1, 'x')), sg::Error);
    const auto d = parsed(head + "%post\n" + std::string(3'000'000, 'y') + "\n");
    BOOST_TEST(d.last().section("post")->body().size() == 3'000'001u);
}

BOOST_AUTO_TEST_CASE(what_a_terminal_would_obey_is_not_shown) {
    const auto f = failure("Bootstrap: docker\n\x1b]0;x\x07 y\n");
    BOOST_TEST(f.find('\x1b', f.find('|')) == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
