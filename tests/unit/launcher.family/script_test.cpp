// The interpreter does what a real shell does, or refuses.
#include "family/script.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <fstream>
#include <optional>

#include "family/action.hpp"
#include "family/environment.hpp"

using namespace launcher;

BOOST_AUTO_TEST_SUITE(script)

namespace {

// Variables of a text by our interpreter, as "A=1;B=2" of the exported ones; nothing when refused.
std::optional<std::string> ours(const std::string& text, const std::vector<std::string>& positional = {}) {
    Interpreter shell;
    shell.assign("HOME", "/home/ann", true);
    shell.positional = positional;
    try {
        shell.run(text);
    } catch (const NotUnderstood&) {
        return std::nullopt;
    } catch (const ScriptExec& e) {
        std::string out = "exec";
        for (const auto& w : e.words) out += "<" + w + ">";
        return out;
    } catch (const ScriptExit& e) {
        return "exit " + std::to_string(e.status);
    }
    std::string out;
    for (const auto& [fd, text] : shell.output)
        if (fd == 1) out += text;
    for (const auto& [name, v] : shell.variables)
        if (v.exported && name != "HOME") out += name + "=" + v.value + ";";
    return out;
}

// The same by a shell of this machine.
std::string real(const std::string& shell, const std::string& text, const std::vector<std::string>& positional = {}) {
    int ends[2];
    BOOST_REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        std::string script = text + "\n/usr/bin/env -0";
        std::vector<std::string> words = {shell, "-c", script, "sh"};
        words.insert(words.end(), positional.begin(), positional.end());
        std::vector<char*> argv;
        for (auto& w : words) argv.push_back(w.data());
        argv.push_back(nullptr);
        const char* const env[] = {"HOME=/home/ann", nullptr};
        execve(shell.c_str(), argv.data(), const_cast<char* const*>(env));
        _exit(127);
    }
    close(ends[1]);
    std::string result;
    char buffer[4096];
    ssize_t n = 0;
    while ((n = read(ends[0], buffer, sizeof buffer)) > 0) result.append(buffer, static_cast<size_t>(n));
    close(ends[0]);
    waitpid(child, nullptr, 0);
    // Output first, then NUL-ended variables; sorted as ours are.
    std::map<std::string, std::string> variables;
    std::string printed;
    for (size_t at = 0; at < result.size();) {
        const size_t end = std::min(result.find('\0', at), result.size());
        std::string entry = result.substr(at, end - at);
        if (at == 0)
            if (const size_t newline = entry.rfind('\n', entry.find('=')); newline != std::string::npos && is_name(entry.substr(newline + 1, entry.find('=', newline) - newline - 1))) {
                printed = entry.substr(0, newline + 1);
                entry.erase(0, newline + 1);
            }
        const size_t equal = entry.find('=');
        const std::string name = entry.substr(0, equal);
        if (name != "HOME" && name != "PWD" && name != "SHLVL" && name != "_" && name != "OLDPWD") variables[name] = entry.substr(equal + 1);
        at = end + 1;
    }
    std::string out = printed;
    for (const auto& [name, value] : variables) out += name + "=" + value + ";";
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_agrees_with_real_shells) {
    const std::vector<std::string> scripts = {
        "export A=1",
        "A=1; B=2; export A B",
        "export A=\"${A:-\"v\"}\"",
        "A=x\nexport A=\"${A:-\"v\"}\"",
        "export A=\"${B:-\"a \\\"b\\\" \\$c \\`d\\` \\\\e\"}\"",
        "export A='single $x \"q\"'",
        "export A=a\\ b\\\"c",
        "export A=\"line1\nline2\"",
        "X='a b'; export Y=\"$X\" Z=\"${X}c\"",
        "X='a b'; Y=$X; export Y",
        "if [ -n \"$HOME\" ]; then export A=yes; else export A=no; fi",
        "if test -z \"${NOTHING:-}\"; then export A=yes; fi",
        "if [ -z \"$HOME\" ]; then export A=1; elif [ \"$HOME\" = /home/ann ]; then export A=2; else export A=3; fi",
        "[ -d /tmp ] && export A=dir || export A=none",
        "[ -d /does/not/exist ] && export A=dir",
        "! [ -e /does/not/exist ] && export A=missing",
        "if [ ! -f /etc/passwd ]; then export A=no; else export A=yes; fi",
        "export A=1\nunset A\nexport B=2",
        "export A; A=later",
        "for i in a b 'c d'; do X=\"$X<$i>\"; done; export X",
        "X=' a  b '; for i in $X; do Y=\"$Y<$i>\"; done; export Y",
        "case \"$HOME\" in /root) export A=1 ;; /home/*) export A=2 ;; *) export A=3 ;; esac",
        "case a.b in *.c|*.b) export A=yes;; esac",
        "case '*' in '*') export A=star;; *) export A=other;; esac",
        "P=/usr/lib/x.so.1; export A=\"${P##*/}\" B=\"${P%/*}\" C=\"${P#/usr}\" D=\"${P%%.*}\"",
        "export A=\"${#HOME}\"",
        "export A=\"${UNSET-default}\" B=\"${HOME+set}\" C=\"${UNSET+set}\"",
        "EMPTY=; export A=\"${EMPTY:-d}\" B=\"${EMPTY-d}\" C=\"${EMPTY:+s}\" D=\"${EMPTY+s}\"",
        ": \"${NEW:=made}\"; export NEW",
        "PREFIX=/usr; export P=$PREFIX/bin:/opt/bin",
        "A=1 # comment\nexport A#b=2 2>/dev/null || true" ,
        "# only a comment",
        "",
        "export A=\"a\\\nb\"",
        "{ export A=1; export B=2; }",
        "export A=\"$1-$2-$#\"",
        "export A=\"$*\"",
        "shift; export A=\"$1\"",
        "set -- x y; export A=\"$1$2$#\"",
        "eval 'export A=\"b c\"'",
        "X='\"p q\" r'; eval \"set ${X}\"; export A=\"$1|$2\"",
        "for a in \"$@\"; do X=\"$X<$a>\"; done; export X",
        "for a; do X=\"$X<$a>\"; done; export X",
        "export A=\"cost: \\$5\" B=\"$\" C=\"a$ b\"",
        "export A=\"\\a\\n\"",
        "if [ 3 -gt 2 ] && [ 2 -le 2 ]; then export A=n; fi",
        "if [ -n \"$HOME\" -a -d / ]; then export A=both; fi",
        "A=; export A",
        "export A=\"\"",
        "[ \"a\" != \"b\" ] && export A=different",
        "false; export A=\"$?\"",
        "true && false || export A=chain",
        "if false; then :; fi; export A=\"$?\"",
        "export LD_LIBRARY_PATH=\"${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/.singularity.d/libs\"",
        "echo hello; export A=1",
        "echo gone >/dev/null; echo hello 2>/dev/null; export A=1",
        "echo problem >&2; export A=1",
        "if test -d /nowhere 2>/dev/null; then export A=1; else echo \"not there: $HOME\" >&2; export A=2; fi",
        "readonly R=1; export R",
    };
    unsigned understood = 0;
    for (const auto& text : scripts) {
        BOOST_TEST_CONTEXT(text) {
            const auto mine = ours(text, {"one", "two words"});
            if (!mine) continue;
            ++understood;
            for (const char* shell : {"/bin/sh", "/bin/bash"}) {
                if (access(shell, X_OK) != 0) continue;
                BOOST_TEST_CONTEXT(shell) BOOST_TEST(*mine == real(shell, text, {"one", "two words"}));
            }
        }
    }
    BOOST_TEST(understood >= scripts.size() - 4);
}

BOOST_AUTO_TEST_CASE(what_it_does_not_know_it_refuses) {
    for (const char* text : {"A=$(date)", "A=`date`", "a | b", "ls", "echo x > /tmp/y", "f() { :; }", "while true; do :; done", "A=$((1+1))", "cat <<E\nE\n",
                             "A=(1 2)", "A+=x", "[[ a == b ]]", "export A=~/x", "echo *", "set -e", "a &", "( export A=1 )", "IFS=:", "if true; then",
                             "\"unclosed", "'unclosed", "${A", "case x in", "A=1 env", "local x", "trap : 0", "cd /", "umask 022", "ulimit -n 1", "$CMD x",
                             "alias a=b", "for x in {1..3}; do :; done", "printf x", "read x", "A='x'\r\n", "A=$$", "\x01"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!ours(text).has_value());
}

BOOST_AUTO_TEST_CASE(deep_nesting_and_recursion_end) {
    std::string deep;
    for (int i = 0; i < 5000; ++i) deep += "if true; then ";
    BOOST_TEST(!ours(deep).has_value());
    std::string braces = "A=";
    for (int i = 0; i < 5000; ++i) braces += "${A:-";
    BOOST_TEST(!ours(braces).has_value());
    BOOST_TEST(!ours("X='eval \"$X\"'; eval \"$X\"").has_value());
}

BOOST_AUTO_TEST_CASE(exit_and_exec_are_reported) {
    BOOST_TEST(ours("export A=1; exit 3; export B=2").value() == "exit 3");
    BOOST_TEST(ours("exec /bin/echo \"a b\" c").value() == "exec</bin/echo><a b><c>");
    BOOST_TEST(ours("exec \"$@\"", {"x", "", "y z"}).value() == "exec<x><><y z>");
}

namespace {

// A runscript as builders write it for an OCI image.
std::string oci_runscript(const std::string& entrypoint, const std::string& cmd) {
    return "#!/bin/sh\nOCI_ENTRYPOINT='" + entrypoint + "'\nOCI_CMD='" + cmd +
           "'\n\n# When SINGULARITY_NO_EVAL set, use OCI compatible behavior\nif [ -n \"$SINGULARITY_NO_EVAL\" ]; then\n"
           "    # ENTRYPOINT only\n    if [ -z \"$OCI_CMD\" ] && [ -n \"$OCI_ENTRYPOINT\" ]; then\n        set -- '/bin/echo' \"$@\"\n    fi\n"
           "    exec \"$@\"\nfi\n\nCMDLINE_ARGS=\"\"\n# prepare command line arguments for evaluation\nfor arg in \"$@\"; do\n"
           "    CMDLINE_ARGS=\"${CMDLINE_ARGS} \\\"$arg\\\"\"\ndone\n\n"
           "# ENTRYPOINT only - run entrypoint plus args\nif [ -z \"$OCI_CMD\" ] && [ -n \"$OCI_ENTRYPOINT\" ]; then\n"
           "    if [ $# -gt 0 ]; then\n        SINGULARITY_OCI_RUN=\"${OCI_ENTRYPOINT} ${CMDLINE_ARGS}\"\n    else\n"
           "        SINGULARITY_OCI_RUN=\"${OCI_ENTRYPOINT}\"\n    fi\nfi\n\n# CMD only - run CMD or override with args\n"
           "if [ -n \"$OCI_CMD\" ] && [ -z \"$OCI_ENTRYPOINT\" ]; then\n    if [ $# -gt 0 ]; then\n"
           "        SINGULARITY_OCI_RUN=\"${CMDLINE_ARGS}\"\n    else\n        SINGULARITY_OCI_RUN=\"${OCI_CMD}\"\n    fi\nfi\n\n"
           "# ENTRYPOINT and CMD - run ENTRYPOINT with CMD as default args\n# override with user provided args\nif [ $# -gt 0 ]; then\n"
           "    SINGULARITY_OCI_RUN=\"${OCI_ENTRYPOINT} ${CMDLINE_ARGS}\"\nelse\n    SINGULARITY_OCI_RUN=\"${OCI_ENTRYPOINT} ${OCI_CMD}\"\nfi\n\n"
           "# Evaluate shell expressions first and set arguments accordingly,\n# then execute final command as first container process\n"
           "eval \"set ${SINGULARITY_OCI_RUN}\"\nexec \"$@\"\n";
}

std::vector<std::string> interpret(const std::string& text, const std::vector<std::string>& arguments, const Variables& variables = {}) {
    char name[] = "/tmp/sg-runscript-XXXXXX";
    close(mkstemp(name));
    std::ofstream(name) << text;
    std::vector<std::string> out;
    try {
        out = interpret_runscript(name, arguments, variables);
    } catch (...) {
        unlink(name);
        throw;
    }
    unlink(name);
    return out;
}

using Words = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_CASE(an_oci_runscript_is_interpreted) {
    const auto both = oci_runscript("\"/bin/sh\" \"-c\" \"fortune | cowsay\"", "");
    BOOST_TEST(is_oci_runscript(both));
    BOOST_TEST(!is_oci_runscript("#!/bin/sh\nexec \"$@\"\n"));
    BOOST_TEST(interpret(both, {}) == (Words{"/bin/sh", "-c", "fortune | cowsay"}), boost::test_tools::per_element());
    BOOST_TEST(interpret(both, {"a b", "c"}) == (Words{"/bin/sh", "-c", "fortune | cowsay", "a b", "c"}), boost::test_tools::per_element());
    const auto command = oci_runscript("", "\"/bin/bash\"");
    BOOST_TEST(interpret(command, {}) == Words{"/bin/bash"}, boost::test_tools::per_element());
    BOOST_TEST(interpret(command, {"ls", "*.c"}) == (Words{"ls", "*.c"}), boost::test_tools::per_element());
    const auto entry = oci_runscript("\"echo\"", "\"x\" \"y\"");
    BOOST_TEST(interpret(entry, {}) == (Words{"echo", "x", "y"}), boost::test_tools::per_element());
    BOOST_TEST(interpret(entry, {"z"}) == (Words{"echo", "z"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(arguments_of_an_oci_runscript_are_evaluated_unless_told_otherwise) {
    const auto entry = oci_runscript("\"echo\"", "");
    BOOST_TEST(interpret(entry, {"$NAME and $HOME"}, {{"NAME", "x"}, {"HOME", "/h"}}) == (Words{"echo", "x and /h"}), boost::test_tools::per_element());
    BOOST_TEST(interpret(entry, {"$NAME"}, {{"NAME", "x"}, {"SINGULARITY_NO_EVAL", "1"}}) == (Words{"/bin/echo", "$NAME"}), boost::test_tools::per_element());
    BOOST_CHECK_THROW(interpret(entry, {"$(date)"}), NotUnderstood);
}

BOOST_AUTO_TEST_CASE(without_entrypoint_and_command_nothing_is_named) {
    // `set` with nothing prints variables: a shell's business.
    BOOST_CHECK_THROW(interpret(oci_runscript("", ""), {}), NotUnderstood);
}

BOOST_AUTO_TEST_SUITE_END()
