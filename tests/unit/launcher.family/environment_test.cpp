// Environment scripts: our interpreter and the image's shell give the same result.
#include "family/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "family/system.hpp"

using namespace launcher;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(environment)

namespace {

struct Scripts {
    std::string directory;
    std::vector<std::string> paths;
    Spec spec;
    Variables host = {{"HOME", "/home/ann"}, {"PATH", default_path}, {"FOO", "host"}, {"EMPTIED", "host"}, {"KEPT", "host"}, {"SINGULARITY_NAME", "x.sif"}};

    Scripts() {
        char name[] = "/tmp/sg-environment-XXXXXX";
        directory = mkdtemp(name);
    }
    ~Scripts() { fs::remove_all(directory); }

    void add(const std::string& name, const std::string& text) {
        std::ofstream(directory + "/" + name) << text;
        paths.push_back(directory + "/" + name);
        std::sort(paths.begin(), paths.end());
    }
    void add_usual() {
        add("01-base.sh", "#!/bin/sh\n# base\n");
        add("90-environment.sh", "#!/bin/sh\n# Custom environment shell code should follow\n");
        add("95-apps.sh",
            "#!/bin/sh\nif test -n \"${SINGULARITY_APPNAME:-}\"; then\n    export SINGULARITY_APPNAME\n    if test -d \"/scif/apps/${SINGULARITY_APPNAME:-}/\"; then\n"
            "        SCIF_APPS=\"/scif/apps\"\n        export SCIF_APPS\n    else\n        echo \"Could not locate the container application: ${SINGULARITY_APPNAME}\"\n"
            "        exit 1\n    fi\nfi\n");
        add("99-base.sh",
            "#!/bin/sh\nif [ -z \"$LD_LIBRARY_PATH\" ]; then\n    LD_LIBRARY_PATH=\"/.singularity.d/libs\"\nelse\n"
            "    LD_LIBRARY_PATH=\"$LD_LIBRARY_PATH:/.singularity.d/libs\"\nfi\n\nPS1=\"Singularity> \"\nexport LD_LIBRARY_PATH PS1\n");
        add("99-runtimevars.sh",
            "#!/bin/sh\nif [ -n \"${SING_USER_DEFINED_PREPEND_PATH:-}\" ]; then\n\tPATH=\"${SING_USER_DEFINED_PREPEND_PATH}:${PATH}\"\nfi\n\n"
            "if [ -n \"${SING_USER_DEFINED_APPEND_PATH:-}\" ]; then\n\tPATH=\"${PATH}:${SING_USER_DEFINED_APPEND_PATH}\"\nfi\n\n"
            "if [ -n \"${SING_USER_DEFINED_PATH:-}\" ]; then\n\tPATH=\"${SING_USER_DEFINED_PATH}\"\nfi\n\n"
            "unset SING_USER_DEFINED_PREPEND_PATH \\\n\t  SING_USER_DEFINED_APPEND_PATH \\\n\t  SING_USER_DEFINED_PATH\n\nexport PATH\n");
    }

    // By our interpreter and by every shell of this machine; all must agree.
    Variables both() {
        const Variables mine = restore(host, evaluate_scripts(spec, host, paths));
        for (const char* shell : {"/bin/sh", "/bin/bash", "/bin/busybox"}) {
            if (access(shell, X_OK) != 0 || std::string(shell) == "/bin/busybox") continue;
            BOOST_TEST_CONTEXT(shell) {
                const Variables theirs = restore(host, evaluate_with_shell(spec, host, paths, shell));
                BOOST_TEST(shown(mine) == shown(theirs));
            }
        }
        return mine;
    }
    static std::string shown(const Variables& v) {
        std::string out;
        for (const auto& [name, value] : v)
            if (name != "PWD") out += name + "=" + value + "\n";
        return out;
    }
};

std::string get(const Variables& v, const std::string& name) {
    const auto it = v.find(name);
    return it == v.end() ? "(unset)" : it->second;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(an_image_before_2_3_extends_the_usual_path, Scripts) {
    add("environment", "PATH=/old/bin:$PATH\nexport PATH\n");
    BOOST_TEST(get(both(), "PATH") == "/old/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

BOOST_FIXTURE_TEST_CASE(a_umask_that_the_scripts_set_is_told, Scripts) {
    add("90-environment.sh", "umask 027\nexport A=1\n");
    BOOST_CHECK_THROW(evaluate_scripts(spec, host, paths), NotUnderstood);
    for (const char* shell : {"/bin/sh", "/bin/bash"}) {
        const Outcome outcome = evaluate_with_shell(spec, host, paths, shell);
        BOOST_TEST_CONTEXT(shell) BOOST_TEST(outcome.umask.value_or(0) == 027u);
        BOOST_TEST(outcome.exported.at("A") == "1");
        BOOST_TEST(std::count(outcome.set.begin(), outcome.set.end(), "0027") == 0);
    }
}

BOOST_FIXTURE_TEST_CASE(a_script_in_another_language_than_the_images_shell_costs_only_itself, Scripts) {
    add("10-before.sh", "export BEFORE=$(echo 1)\n");
    add("90-environment.sh", "export LIST=(a b)\nexport NEVER=1\n");
    add("91-broken.sh", "if [ ; then\n");
    add("92-after.sh", "export AFTER=1\n");
    const Outcome outcome = evaluate_with_shell(spec, host, paths, "/bin/sh");
    BOOST_TEST(!outcome.exited);
    BOOST_TEST(outcome.exported.at("BEFORE") == "1");
    BOOST_TEST(outcome.exported.at("AFTER") == "1");
    add("93-exit.sh", "exit 7\n");
    BOOST_TEST(evaluate_with_shell(spec, host, paths, "/bin/sh").status == 7);
}

BOOST_FIXTURE_TEST_CASE(a_value_that_is_no_shell_text_costs_only_its_variable, Scripts) {
    add_usual();
    spec.overrides = {{"A", "one `"}, {"B", "$(echo two)"}, {"C", "${three"}, {"D", "it's \"four\""}};
    for (const char* shell : {"/bin/sh", "/bin/bash"}) {
        const Outcome outcome = evaluate_with_shell(spec, host, paths, shell);
        BOOST_TEST_CONTEXT(shell) BOOST_TEST(!outcome.exited);
        BOOST_TEST(outcome.exported.at("B") == "two");
        BOOST_TEST(outcome.exported.at("D") == "it's \"four\"");
        BOOST_TEST(outcome.exported.count("A") == 0u);
    }
}

BOOST_FIXTURE_TEST_CASE(a_prompt_that_the_images_shell_begins_with_is_not_the_containers, Scripts) {
    add("99-base.sh", "PS1=\"${PS1:-Apptainer> }\"\nexport PS1\n");
    BOOST_TEST(get(both(), "PS1") == "Apptainer> ");
}

BOOST_FIXTURE_TEST_CASE(the_usual_scripts_give_the_usual_environment, Scripts) {
    add_usual();
    const auto v = both();
    BOOST_TEST(get(v, "PATH") == default_path);
    BOOST_TEST(get(v, "LD_LIBRARY_PATH") == "/.singularity.d/libs");
    BOOST_TEST(get(v, "PS1") == "Singularity> ");
    BOOST_TEST(get(v, "FOO") == "host");
    BOOST_TEST(get(v, "HOME") == "/home/ann");
}

BOOST_FIXTURE_TEST_CASE(the_images_own_definitions_beat_the_hosts, Scripts) {
    add_usual();
    add("10-docker2singularity.sh", "#!/bin/sh\nexport PATH=\"/opt/x/bin:/usr/bin\"\nexport FOO=\"${FOO:-\"image\"}\"\nexport EMPTIED=\"\"\nexport Q=\"${Q:-\"a \\\"b\\\" \\$c\"}\"\n");
    const auto v = both();
    BOOST_TEST(get(v, "FOO") == "image");
    BOOST_TEST(get(v, "EMPTIED") == "(unset)");
    BOOST_TEST(get(v, "KEPT") == "host");
    BOOST_TEST(get(v, "Q") == "a \"b\" $c");
    BOOST_TEST(get(v, "PATH") == "/opt/x/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin");
}

BOOST_FIXTURE_TEST_CASE(overrides_beat_the_image_and_are_evaluated, Scripts) {
    add_usual();
    add("91-environment.sh", "export FOO=image BAR=image\n");
    spec.overrides = {{"FOO", "user $HOME \"q\""}, {"SING_USER_DEFINED_PREPEND_PATH", "/first"}, {"SING_USER_DEFINED_APPEND_PATH", "/last"}, {"UID", "5"}};
    auto v = both();
    BOOST_TEST(get(v, "FOO") == "user /home/ann \"q\"");
    BOOST_TEST(get(v, "BAR") == "image");
    BOOST_TEST(get(v, "PATH") == "/first:" + std::string(default_path) + ":/last");
    BOOST_TEST(get(v, "SING_USER_DEFINED_PREPEND_PATH") == "(unset)");
    spec.evaluate = false;
    spec.overrides = {{"FOO", "user $HOME 'q' `x`"}};
    v = both();
    BOOST_TEST(get(v, "FOO") == "user $HOME 'q' `x`");
}

BOOST_FIXTURE_TEST_CASE(an_image_without_runtime_variables_still_gets_path_overrides, Scripts) {
    add("90-environment.sh", "export A=1\n");
    spec.overrides = {{"SING_USER_DEFINED_PATH", "/only"}};
    const auto v = both();
    BOOST_TEST(get(v, "PATH") == "/only");
    BOOST_TEST(get(v, "A") == "1");
}

BOOST_FIXTURE_TEST_CASE(scripts_do_not_see_the_hosts_variables, Scripts) {
    add("90-environment.sh", "export SEEN=\"${FOO:-nothing}\" NAME_SEEN=\"$SINGULARITY_NAME\"\nLOCAL=1\n");
    host["LOCAL"] = "host";
    const auto v = both();
    BOOST_TEST(get(v, "SEEN") == "nothing");
    BOOST_TEST(get(v, "NAME_SEEN") == "x.sif");
    BOOST_TEST(get(v, "LOCAL") == "(unset)");  // set by the script, not exported
}

BOOST_FIXTURE_TEST_CASE(values_with_newlines_and_quotes_survive_a_real_shell, Scripts) {
    add("90-environment.sh", "export A=\"one\ntwo\" B='it'\"'\"'s' C='back\\slash' D='$x' E=\"tab\there\"\nexport F=$(printf 'made')\n");
    BOOST_CHECK_THROW(evaluate_scripts(spec, host, paths), NotUnderstood);
    for (const char* shell : {"/bin/sh", "/bin/bash"}) {
        if (access(shell, X_OK) != 0) continue;
        const auto v = restore(host, evaluate_with_shell(spec, host, paths, shell));
        BOOST_TEST(get(v, "A") == "one\ntwo");
        BOOST_TEST(get(v, "B") == "it's");
        BOOST_TEST(get(v, "C") == "back\\slash");
        BOOST_TEST(get(v, "D") == "$x");
        BOOST_TEST(get(v, "E") == "tab\there");
        BOOST_TEST(get(v, "F") == "made");
        BOOST_TEST(get(v, "SHLVL") == "(unset)");
    }
}

BOOST_FIXTURE_TEST_CASE(a_script_that_exits_ends_the_start, Scripts) {
    add_usual();
    host["SINGULARITY_APPNAME"] = "absent";
    const Outcome mine = evaluate_scripts(spec, host, paths);
    BOOST_TEST(mine.exited);
    BOOST_TEST(mine.status == 1);
    const Outcome theirs = evaluate_with_shell(spec, host, paths, "/bin/sh");
    BOOST_TEST(theirs.exited);
    BOOST_TEST(theirs.status == 1);
}

BOOST_FIXTURE_TEST_CASE(scripts_that_hang_are_ended, Scripts) {
    add("90-environment.sh", "while :; do :; done\n");
    spec.timeout = 1;
    BOOST_CHECK_EXCEPTION(evaluate_with_shell(spec, host, paths, "/bin/sh"), Error, [](const Error& e) { return e.code() == Code::timeout; });
}

BOOST_FIXTURE_TEST_CASE(a_prompt_command_of_the_user_is_kept_for_later, Scripts) {
    host["PROMPT_COMMAND"] = "history -a";
    const auto v = restore(host, Outcome{});
    BOOST_TEST(get(v, "PROMPT_COMMAND") == "PS1='Singularity> '; PROMPT_COMMAND='history -a'");
}

BOOST_AUTO_TEST_CASE(exports_of_every_shell_are_read) {
    const auto v = parse_exports(
        "export A='it'\"'\"'s'\ndeclare -x B=\"x\\\"y\\$z\\`w\\\\\"\nexport C\ndeclare -x D\nexport E=plain\ndeclare -rx F=\"ro\"\n"
        "export G=$'a\\nb\\'c\\101'\ntypeset -x H='z'\nexport I='multi\nline'\nexport J=''\nexport 1X='bad'\nexport K='\\''\n");
    BOOST_TEST(get(v, "A") == "it's");
    BOOST_TEST(get(v, "B") == "x\"y$z`w\\");
    BOOST_TEST(get(v, "C") == "(unset)");
    BOOST_TEST(get(v, "E") == "plain");
    BOOST_TEST(get(v, "F") == "ro");
    BOOST_TEST(get(v, "G") == "a\nb'cA");
    BOOST_TEST(get(v, "H") == "z");
    BOOST_TEST(get(v, "I") == "multi\nline");
    BOOST_TEST(get(v, "J") == "");
    BOOST_TEST(get(v, "1X") == "(unset)");
    for (const char* damaged : {"export A='", "export", "export A=\"\\", "declare -x", "export A=$'\\", "\n\n", "export A=$'\\1"}) BOOST_CHECK_NO_THROW(parse_exports(damaged));
}

BOOST_AUTO_TEST_CASE(a_path_is_completed_once) {
    BOOST_TEST(complete_path("") == default_path);
    BOOST_TEST(complete_path(default_path) == default_path);
    BOOST_TEST(complete_path("/x:/bin") == "/x:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin");
}

BOOST_AUTO_TEST_SUITE_END()
