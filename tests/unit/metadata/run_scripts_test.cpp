// The scripts do what they are for: each is run with every shell of this machine.
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "metadata/oci_scripts.hpp"
#include "metadata/scripts.hpp"
#include "support.hpp"

using namespace sg;
using namespace metadata_test;

namespace {

using Words = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

const std::string printer = "/usr/bin/printf";
const Environment plain{{"PATH", "/usr/bin:/bin"}, {"HOME", "/home/me"}};

// Words that a shell would like to change.
const Words wild = {"$HOME", "`id`", "$(id)", "it's", "a\"b", "\\",  "\\n", "new\nline", "*",       "a b",
                    "",      "~",    "{x}",   "!",    "#no",  "a;b", "&",   "tab\there", "\xc3\xa9"};

std::string shown(const Words& words) {
    std::string out;
    for (const auto& w : words) out += "<" + w + ">";
    return out;
}

Words operator+(Words a, const Words& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// Runs `script` with each shell and compares what it prints.
void expect(const std::string& script, const Words& arguments, const std::string& out,
            Environment environment = plain) {
    const Folder folder;
    write_file(folder / "script", script);
    for (const Words& shell : shells()) {
        const Ran ran = run(shell + Words{folder / "script"} + arguments, environment);
        BOOST_TEST(ran.out == out, shell[0] << (shell.size() > 1 ? " " + shell[1] : "") << " printed '" << ran.out
                                            << "' instead of '" << out << "': " << ran.error);
        BOOST_TEST(ran.status == 0);
    }
}

Environment with(const std::string& name, const std::string& value) {
    Environment e = plain;
    e[name] = value;
    return e;
}

const Environment no_eval = with("SINGULARITY_NO_EVAL", "1");
const Words entrypoint{printer, "<%s>"};

// A tree of scripts whose absolute paths lead into a folder instead of /.
class Root {
public:
    Root() {
        for (const Script& s : standard_scripts()) put(std::string(s.path), std::string(s.text));
    }
    void put(const std::string& path, std::string text) {
        std::filesystem::create_directories(std::filesystem::path(folder_ / path).parent_path());
        for (const std::string prefix : {"/.singularity.d/", "/scif/apps"})
            for (size_t at = 0; (at = text.find(prefix, at)) != std::string::npos;) {
                text.insert(at, folder_.path());
                at += folder_.path().size() + prefix.size();
            }
        write_file(folder_ / path, text, true);
    }
    void expect(const std::string& action, const Words& arguments, const std::string& out,
                Environment environment = plain, int status = 0, const std::string& error = "") {
        for (const Words& shell : shells()) {
            const Ran ran = run(shell + Words{folder_ / (".singularity.d/actions/" + action)} + arguments, environment);
            BOOST_TEST(ran.out == out, shell[0] << ": '" << ran.out << "', " << ran.error);
            BOOST_TEST(ran.error.find(error) != std::string::npos, shell[0] << ": " << ran.error);
            BOOST_TEST(ran.status == status);
        }
    }
    std::string operator/(const std::string& name) const { return folder_ / name; }

private:
    Folder folder_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(run_scripts)

BOOST_AUTO_TEST_CASE(arguments_follow_an_entrypoint) {
    const std::string script = oci_runscript(config_of(entrypoint, {}));
    expect(script, {"a b", "c"}, "<a b><c>");
    expect(script, {}, "<>");
    expect(script, {"a b", "c"}, "<a b><c>", no_eval);
}

BOOST_AUTO_TEST_CASE(arguments_replace_a_cmd) {
    const std::string script = oci_runscript(config_of({}, entrypoint + Words{"default"}));
    expect(script, {}, "<default>");
    expect(script, {printer, "[%s]", "a b"}, "[a b]");
    expect(script, {}, "<default>", no_eval);
    expect(script, {printer, "[%s]", "a b"}, "[a b]", no_eval);
}

BOOST_AUTO_TEST_CASE(arguments_replace_the_cmd_behind_an_entrypoint) {
    const std::string script = oci_runscript(config_of(entrypoint, {"d 1", "d2"}));
    expect(script, {}, "<d 1><d2>");
    expect(script, {"x"}, "<x>");
    expect(script, {}, "<d 1><d2>", no_eval);
    expect(script, {"x y"}, "<x y>", no_eval);
}

BOOST_AUTO_TEST_CASE(words_of_the_image_arrive_unchanged) {
    for (const auto& environment : {plain, no_eval}) {
        expect(oci_runscript(config_of(entrypoint + wild, {})), {}, shown(wild), environment);
        expect(oci_runscript(config_of({}, entrypoint + wild)), {}, shown(wild), environment);
        expect(oci_runscript(config_of(entrypoint, wild)), {}, shown(wild), environment);
    }
}

BOOST_AUTO_TEST_CASE(arguments_are_evaluated_unless_the_user_says_no) {
    const std::string script = oci_runscript(config_of(entrypoint, {}));
    expect(script, {"$HOME", "\\$HOME"}, "</home/me><$HOME>");
    expect(script, wild, shown(wild), no_eval);
}

BOOST_AUTO_TEST_CASE(an_image_that_names_no_program_gives_a_shell) {
    const std::string script = oci_runscript(config_of({}, {}));
    const Folder folder;
    write_file(folder / "bash", "#!/bin/sh\necho this is bash\n", true);
    expect(script, {}, "this is bash\n", with("PATH", folder.path()));
    expect(script, {}, "", with("PATH", "/nowhere"));  // sh, which reads nothing and ends
    expect(script, entrypoint + Words{"a b"}, "<a b>");
    expect(script, {}, "this is bash\n", {{"PATH", folder.path()}, {"SINGULARITY_NO_EVAL", "1"}});
    expect(script, entrypoint + Words{"$HOME"}, "<$HOME>", no_eval);
}

BOOST_AUTO_TEST_CASE(the_exit_status_is_the_programs) {
    const Folder folder;
    write_file(folder / "script", oci_runscript(config_of({"/bin/sh", "-c", "exit 37"}, {})));
    for (const Words& shell : shells()) BOOST_TEST(run(shell + Words{folder / "script"}, plain).status == 37);
}

BOOST_AUTO_TEST_CASE(values_of_the_environment_arrive_unchanged) {
    Words env{"PATH=/image/bin:$HOME\"'`\\"};
    for (size_t i = 0; i < wild.size(); ++i) env.push_back("V" + std::to_string(i) + "=" + wild[i]);
    env.push_back("LAST=a=b}c\"}");
    std::string script = oci_environment(config_of({}, {}, env));
    std::string expected = "</image/bin:$HOME\"'`\\>" + shown(wild) + "<a=b}c\"}>";
    script += printer + " '<%s>' \"$PATH\"";
    for (size_t i = 0; i < wild.size(); ++i) script += " \"$V" + std::to_string(i) + "\"";
    script += " \"$LAST\"\n";
    expect(script, {}, expected);
}

BOOST_AUTO_TEST_CASE(a_value_that_is_set_already_wins_but_for_path) {
    const std::string script = oci_environment(config_of({}, {}, {"A=image", "B", "PATH=/image"})) + printer +
                               " '<%s>' \"$A\" \"$B\" \"$PATH\"\n";
    expect(script, {}, "<mine><too></image>", {{"A", "mine"}, {"B", "too"}, {"PATH", "/mine"}});
    expect(script, {}, "<image><></image>", {{"A", ""}, {"PATH", "/mine"}});
    const std::string exported = oci_environment(config_of({}, {}, {"A=image"})) + "/usr/bin/printenv A\n";
    expect(exported, {}, "image\n", {});
}

BOOST_AUTO_TEST_CASE(exec_runs_a_command_in_the_images_environment) {
    Root root;
    root.put(".singularity.d/env/10-docker2singularity.sh", oci_environment(config_of({}, {}, {"COW=moo moo"})));
    root.put(".singularity.d/env/90-environment.sh", "export MINE=yes\n");
    root.expect("exec", {"/bin/sh", "-c", "echo \"$COW,$MINE,$PS1,$1\"", "x", "a  b"},
                "moo moo,yes,Singularity> ,a  b\n");
    root.expect("exec", {"/bin/sh", "-c", "exit 42"}, "", plain, 42);
}

BOOST_AUTO_TEST_CASE(the_library_path_is_appended) {
    Root root;
    const Words print{"/bin/sh", "-c", "echo \"$LD_LIBRARY_PATH\""};
    root.expect("exec", print, (root / ".singularity.d/libs") + "\n");
    root.expect("exec", print, "/mine:" + (root / ".singularity.d/libs") + "\n", with("LD_LIBRARY_PATH", "/mine"));
}

BOOST_AUTO_TEST_CASE(the_users_path_has_the_last_word) {
    Root root;
    root.put(".singularity.d/env/10-docker2singularity.sh", "export PATH=/image:/usr/bin:/bin\n");
    const Words print{"/bin/sh", "-c",
                      "echo "
                      "\"$PATH,${SING_USER_DEFINED_PATH-unset}${SING_USER_DEFINED_PREPEND_PATH-unset}${SING_USER_"
                      "DEFINED_APPEND_PATH-unset}\""};
    root.expect("exec", print, "/image:/usr/bin:/bin,unsetunsetunset\n");
    Environment e = plain;
    e["SING_USER_DEFINED_PREPEND_PATH"] = "/first", e["SING_USER_DEFINED_APPEND_PATH"] = "/last";
    root.expect("exec", print, "/first:/image:/usr/bin:/bin:/last,unsetunsetunset\n", e);
    e["SING_USER_DEFINED_PATH"] = "/only:/bin";
    root.expect("exec", print, "/only:/bin,unsetunsetunset\n", e);
}

BOOST_AUTO_TEST_CASE(run_runs_the_runscript) {
    Root root;
    root.expect("run", {"-c", "echo a shell"}, "a shell\n", plain, 0, "No runscript found in container");
    root.put(".singularity.d/runscript", std::string(runscript_stub));
    root.expect("run", {}, "There is no runscript defined for this container\n");
    root.put(".singularity.d/runscript", oci_runscript(config_of(entrypoint, {})));
    root.expect("run", {"a b"}, "<a b>");
}

BOOST_AUTO_TEST_CASE(an_app_has_its_own_scripts_and_environment) {
    Root root;
    root.put("scif/apps/foo/scif/runscript", "#!/bin/sh\necho \"run foo $SCIF_APPROOT $FOO $1\"\n");
    root.put("scif/apps/foo/scif/test", "#!/bin/sh\necho \"test foo\"\n");
    root.put("scif/apps/foo/scif/env/90-environment.sh", "export FOO=bar\n");
    root.put("scif/apps/foo/bin/tool", "#!/bin/sh\necho tool\n");
    const Environment foo = with("SINGULARITY_APPNAME", "foo"), none = with("SINGULARITY_APPNAME", "none"),
                      bare = with("SINGULARITY_APPNAME", "bare");
    root.expect("run", {"x y"}, "run foo " + (root / "scif/apps/foo") + " bar x y\n", foo);
    root.expect("test", {}, "test foo\n", foo);
    root.expect("exec", {"tool"}, "tool\n", foo);
    root.expect("run", {}, "", none, 1, "Could not locate the container application: none");
    std::filesystem::create_directories(root / "scif/apps/bare");
    root.expect("run", {}, "", bare, 1, "No runscript for contained app: bare");
}

BOOST_AUTO_TEST_CASE(test_runs_the_test_or_succeeds) {
    Root root;
    root.expect("test", {}, "", plain, 0, "No test found in container, executing /bin/sh -c true");
    root.put(".singularity.d/test", "#!/bin/sh\necho tested; exit 3\n");
    root.expect("test", {}, "tested\n", plain, 3);
}

BOOST_AUTO_TEST_CASE(shell_starts_the_shell_that_was_asked_for) {
    Root root;
    root.put("mine", "#!/bin/sh\necho \"mine $SHELL $1\"\n");
    root.expect("shell", {"x"}, "mine " + (root / "mine") + " x\n", with("SINGULARITY_SHELL", root / "mine"));
    root.expect("shell", {"-c", "echo $SHELL"}, "/bin/bash\n", with("SINGULARITY_SHELL", "/not/there"));
}

BOOST_AUTO_TEST_SUITE_END()
