// The program in a prefix of the test's own, with a plugin of the test's.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "../config/scratch.hpp"
#include "base/unique_fd.hpp"

namespace {

struct Result {
    int code = -1;
    std::string out, err;
};

std::string drained(int fd) {
    std::string text;
    char buffer[8192];
    lseek(fd, 0, SEEK_SET);
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
    return text;
}

struct World : Scratch {
    World() {
        std::filesystem::remove(at("bin/singularity"));
        link(TEST_PROGRAM, "bin/singularity");
        std::filesystem::create_directories(at("libexec/singularity"));
        link(TEST_MODULE, "libexec/singularity/build.so");
        plugin("good",
               "name: good\nobject: good.so\nabi: 1\nversion: 1.2.3\nsummary: a plugin of the test\nprovides:\n"
               "  - bootstrap: {scheme: good, summary: a source}\n"
               "  - command: {verb: hello, summary: Say hello, example: singularity hello all, options: [{long: loud, short: l}, {long: name, "
               "type: text, variable: HELLO_NAME}], verbs: [{verb: say, summary: Say it, options: [{long: json}, {long: word, type: list, help: A word}]}, "
               "{verb: stop}, {verb: inside, hidden: yes}]}\n"
               "  - command: {verb: aside, hidden: yes}\n"
               "options:\n  - {verbs: [hello], long: extra, type: text, help: more}\n"
               "  - {verbs: [config, build], long: instead, short: I, variable: INSTEAD, takes_over: hello inside, help: by something else}\n"
               "  - {verbs: [config, hello], long: other, type: text, takes_over: aside}\n"
               "  - {verbs: [build], long: force, takes_over: aside}\n"
               "config: [{key: good.mode, type: text, default: fast}]\nabsent: [{scheme: good, message: Get the good package.}]\n");
        const std::string folder = installation().plugin_dir + "/good/";
        std::filesystem::copy_file(TEST_OBJECTS "/good.so", folder + "good.so");
        std::ofstream(folder + "README.md") << "# The good source\n";
        site("plugins.d/00.yaml", "plugins: [good/plugin.yaml]\n");
        site("singularity.yaml", "");
        std::filesystem::create_directories(at("etc/singularity/conf.d"));
    }

    Result run(const std::vector<std::string>& words, const std::vector<std::string>& environment = {}, const char* name = "singularity") const {
        const sg::UniqueFd out(open(path().c_str(), O_TMPFILE | O_RDWR, 0600)), err(open(path().c_str(), O_TMPFILE | O_RDWR, 0600));
        const std::string program = at("bin/singularity"), home = "HOME=" + at("home");
        std::vector<char*> argv{const_cast<char*>(name)}, env;
        for (const auto& w : words) argv.push_back(const_cast<char*>(w.c_str()));
        argv.push_back(nullptr);
        if (environment.empty()) env.push_back(const_cast<char*>(home.c_str()));
        for (const auto& e : environment)
            if (e != "-") env.push_back(const_cast<char*>(e.c_str()));
        env.push_back(nullptr);
        const pid_t pid = fork();
        if (pid == 0) {
            dup2(out.get(), 1);
            dup2(err.get(), 2);
            execve(program.c_str(), argv.data(), env.data());
            _exit(127);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), drained(out.get()), drained(err.get())};
    }

private:
    void link(const char* from, const char* to) const {
        std::error_code failed;
        std::filesystem::create_hard_link(from, at(to), failed);
        if (failed) std::filesystem::copy_file(from, at(to));
    }
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_FIXTURE_TEST_CASE(versions_are_printed_as_callers_parse_them, World) {
    for (const auto& environment : {std::vector<std::string>{}, {"-"}}) {
        BOOST_TEST(run({"--version"}, environment).out == "singularity version 4.0.0\n");
        BOOST_TEST(run({"version"}, environment).out == "4.0.0\n");
    }
    for (const auto& flags : std::vector<std::vector<std::string>>{{"-q"}, {"-s"}, {"--quiet", "--silent"}, {"-v"}, {"-d"}, {"-q", "-v"}, {"--nocolor"}, {"-qs"}}) {
        auto words = flags;
        words.push_back("version");
        BOOST_TEST(run(words).out == "4.0.0\n");
    }
    BOOST_TEST(run({"version", "-q"}).out == "4.0.0\n");
}

BOOST_FIXTURE_TEST_CASE(help_shows_everything_with_its_origin, World) {
    const Result all = run({"help"});
    BOOST_TEST(all.code == 0);
    BOOST_TEST(all.err == "");
    for (const char* part : {"  help  ", "  plugin  ", "hello", "Say hello  (plugin good)", "a source  (plugin good)", "--quiet"}) BOOST_TEST(holds(all.out, part), part);
    BOOST_TEST(run({"--help"}).out == all.out);
    BOOST_TEST(run({}).code == 1);
    BOOST_TEST(run({"help", "good"}).out == "# The good source\n");
    BOOST_TEST(run({"help", "good://x"}).out == "# The good source\n");
    const Result verb = run({"help", "config"});
    BOOST_TEST(verb.code == 0);
    BOOST_TEST(holds(verb.out, "Usage: singularity config"));
    BOOST_TEST(holds(verb.out, "Examples:"));
    BOOST_TEST(run({"config", "--help"}).out == verb.out);
    const Result hello = run({"hello", "--help"});
    BOOST_TEST(holds(hello.out, "$ singularity hello all"));
    BOOST_TEST(holds(hello.out, "--extra TEXT"));
    BOOST_TEST(holds(run({"hello", "say", "--help"}).out, "--word TEXT"));
    const Result unknown = run({"help", "confg"});
    BOOST_TEST(unknown.code == 1);
    BOOST_TEST(holds(unknown.err, "Did you mean 'config'?"));
}

BOOST_FIXTURE_TEST_CASE(wrong_command_lines_exit_with_1_and_a_hint, World) {
    const Result verb = run({"plugn", "list"});
    BOOST_TEST(verb.code == 1);
    BOOST_TEST(verb.err == "FATAL:   unknown command 'plugn'\n         Did you mean 'plugin'? See: singularity help\n");
    BOOST_TEST(verb.out == "");
    const Result option = run({"config", "show", "--orign"});
    BOOST_TEST(option.code == 1);
    BOOST_TEST(holds(option.err, "FATAL:   unknown option --orign for 'config'\n         Did you mean '--origin'?"));
    BOOST_TEST(run({"--verbos", "version"}).code == 1);
    BOOST_TEST(run({"-x"}).code == 1);
    BOOST_TEST(run({"plugin"}).code == 1);
    BOOST_TEST(run({"plugin", "list", "x", "y"}).code == 1);
    BOOST_TEST(run({"--set"}).code == 1);
    BOOST_TEST(run({"--set", "build.thread=1", "config", "show"}).code == 1);
}

BOOST_FIXTURE_TEST_CASE(config_shows_values_with_their_origin, World) {
    const std::string file = site("conf.d/10.yaml", "build: {threads: 3}\nlocks: [tmpdir]\n");
    BOOST_TEST(run({"config", "show", "build.threads"}).out == "3\n");
    BOOST_TEST(run({"config", "show", "--origin", "build.threads"}).out == "build.threads: 3  # " + file + ":1\n");
    BOOST_TEST(holds(run({"config", "show", "--origin", "tmpdir"}).out, "locked by " + file + ":2"));
    BOOST_TEST(holds(run({"config", "show", "mount"}).out, "mount.home: true\n"));
    BOOST_TEST(run({"--set", "build.threads=5", "config", "show", "build.threads"}).out == "5\n");
    BOOST_TEST(run({"config", "show", "--set=build.threads=6", "build.threads"}).out == "6\n");
    BOOST_TEST(run({"config", "show", "build.threads"}, {"HOME=" + at("home"), "SINGULARITY_BUILD_THREADS=7"}).out == "7\n");
    const Result json = run({"config", "show", "--json", "build.threads"});
    BOOST_TEST(holds(json.out, "\"value\": 3"));
    BOOST_TEST(holds(json.out, file + ":1"));
    const Result unknown = run({"config", "show", "build.thread"});
    BOOST_TEST(unknown.code == 255);
    BOOST_TEST(holds(unknown.err, "Did you mean 'build.threads'?"));
    const Result locked = run({"hello", "say"}, {"HOME=" + at("home"), "SINGULARITY_TMPDIR=/x"});
    BOOST_TEST(locked.code == 255);
    BOOST_TEST(holds(locked.err, "FATAL:   SINGULARITY_TMPDIR: this site has locked 'tmpdir' (" + file + ":2)"));
    BOOST_TEST(run({"config", "show"}, {"HOME=" + at("home"), "SINGULARITY_TMPDIR=/x"}).code == 0);
}

BOOST_FIXTURE_TEST_CASE(a_wrong_configuration_stops_commands_but_not_help, World) {
    const std::string file = site("conf.d/10.yaml", "build: [\n");
    const Result stopped = run({"config", "show"});
    BOOST_TEST(stopped.code == 255);
    BOOST_TEST(holds(stopped.err, "FATAL:   " + file + ":"));
    BOOST_TEST(run({"version"}).code == 0);
    const Result help = run({"help"});
    BOOST_TEST(help.code == 0);
    BOOST_TEST(holds(help.out, "hello"));
    BOOST_TEST(holds(help.err, "WARNING: " + file));
}

BOOST_FIXTURE_TEST_CASE(plugins_are_listed_without_being_loaded, World) {
    const std::string object = installation().plugin_dir + "/good/good.so";
    std::ofstream(object) << "no object any more";
    const Result list = run({"plugin", "list"});
    BOOST_TEST(list.code == 0);
    for (const char* part : {"good", "bootstrap, command", "active", "good.so", "plugin.yaml"}) BOOST_TEST(holds(list.out, part), part);
    BOOST_TEST(holds(run({"plugin", "list", "--json"}).out, "\"name\": \"good\""));
    BOOST_TEST(holds(run({"--json", "plugin", "list"}).out, "\"kind\": \"bootstrap\""));
    const Result broken = run({"plugin", "inspect", "good"});
    BOOST_TEST(broken.code == 255);
    BOOST_TEST(holds(broken.err, "plugin good"));
    BOOST_TEST(run({"plugin", "inspect", "nobody"}).code == 255);
    site("plugins.d/50.yaml", "plugins:\n  - {name: good, enabled: no}\n");
    BOOST_TEST(holds(run({"plugin", "list"}).out, "disabled in " + at("etc/singularity/plugins.d/50.yaml:2")));
    BOOST_TEST(!holds(run({"help"}).out, "hello"));
    BOOST_TEST(run({"hello", "say"}).code == 1);
    BOOST_TEST(holds(run({"help", "good:x"}).err, "Get the good package."));
}

BOOST_FIXTURE_TEST_CASE(a_plugin_adds_verbs_with_options, World) {
    BOOST_TEST(run({"plugin", "inspect", "good"}).code == 0);
    const Result say = run({"hello", "say", "--word", "a", "--word=b", "one", "two"});
    BOOST_TEST(say.code == 0);
    BOOST_TEST(say.err == "INFO:    verb=hello say word=a word=b [one] [two] mode=fast\n");
    BOOST_TEST(run({"--json", "hello", "say"}).err == "INFO:    verb=hello say json=true mode=fast\n");
    BOOST_TEST(run({"hello", "-l", "say", "x"}).err == "INFO:    verb=hello say loud=true [x] mode=fast\n");
    BOOST_TEST(run({"hello", "say", "x"}, {"HOME=/", "APPTAINER_HELLO_NAME=me", "SINGULARITY_GOOD_MODE=slow"}).err ==
               "INFO:    verb=hello say name=me [x] mode=slow\n");
    BOOST_TEST(run({"hello", "say", "seven"}).code == 7);
    BOOST_TEST(run({"hello", "--extra", "e", "stop"}).err == "INFO:    verb=hello stop extra=e mode=fast\n");
    BOOST_TEST(run({"-q", "hello", "stop"}).err == "");
    BOOST_TEST(run({"hello", "stop", "--quiet"}).err == "");
    BOOST_TEST(run({"hello.stop"}).err == "INFO:    verb=hello stop mode=fast\n");
    const Result failed = run({"hello", "say", "fail"});
    BOOST_TEST(failed.code == 255);
    BOOST_TEST(holds(failed.err, "FATAL:   told to fail\n"));
    const Result unknown = run({"hello", "say", "--wrod", "x"});
    BOOST_TEST(unknown.code == 1);
    BOOST_TEST(holds(unknown.err, "--wrod"));
    BOOST_TEST(run({"hello", "shout"}).code == 1);
    BOOST_TEST(holds(run({"hello"}).out, "Usage: singularity hello"));
}

BOOST_FIXTURE_TEST_CASE(an_option_of_a_plugin_takes_over_a_verb, World) {
    const Result plain = run({"config", "list"});
    BOOST_TEST(!holds(plain.err, "verb="));
    // All that was given goes there: the verb's own options, those of plugins, words; global options do not.
    const Result taken = run({"config", "show", "good.mode", "--instead", "--origin", "--nocolor"});
    BOOST_TEST(taken.err == "INFO:    verb=hello inside instead=true origin=true [show] [good.mode] mode=fast\n");
    BOOST_TEST(taken.out == "");
    BOOST_TEST(run({"config", "-I", "show"}).err == "INFO:    verb=hello inside instead=true [show] mode=fast\n");
    BOOST_TEST(run({"config", "--instead=no", "show", "good.mode"}).out == run({"config", "show", "good.mode"}).out);
    BOOST_TEST(run({"config", "show", "good.mode"}, {"HOME=" + at("home"), "SINGULARITY_INSTEAD=1"}).err ==
               "INFO:    verb=hello inside instead=true [show] [good.mode] mode=fast\n");
    BOOST_TEST(run({"config", "show", "x", "--other", "o", "--set", "good.mode=slow"}).err ==
               "INFO:    verb=aside other=o [show] [x] mode=slow\n");
    BOOST_TEST(run({"config", "show", "x", "--other=o", "--json"}).err ==
               "INFO:    verb=aside other=o json=true [show] [x] mode=fast\n");
    // Also of a verb that the internal module has, and of a plugin's.
    BOOST_TEST(holds(run({"build", "--instead", "--arch", "arm64", "x.sif", "x.def"}).err,
                     "INFO:    verb=hello inside instead=true arch=arm64 [x.sif] [x.def] mode=fast\n"));
    BOOST_TEST(run({"hello", "--other=o", "say", "x"}).err == "INFO:    verb=aside other=o [x] mode=fast\n");
    // Its words are still the verb's, and so are wrong ones.
    BOOST_TEST(run({"config", "--instead"}).code == 1);
    const Result both = run({"config", "--instead", "--other=o", "show"});
    BOOST_TEST(both.code == 1);
    BOOST_TEST(holds(both.err, "--instead and --other exclude each other"));
    // The verb's own option of the same name is not the plugin's.
    const Result clash = run({"build", "--force", "x.sif", "nothing.def"});
    BOOST_TEST(holds(clash.err, "option --force of 'build' exists already"));
    BOOST_TEST(!holds(clash.err, "verb=aside"));
    // Hidden commands are in no list and cannot be typed.
    BOOST_TEST(!holds(run({"hello", "--help"}).out, "inside"));
    BOOST_TEST(!holds(run({"help"}).out, "aside"));
    BOOST_TEST(run({"help", "--man-pages", path()}).code == 0);
    BOOST_TEST(!std::filesystem::exists(at("singularity-aside.1")));
    BOOST_TEST(std::filesystem::exists(at("singularity-hello.1")));
    BOOST_TEST(run({"hello", "inside"}).code == 1);
    BOOST_TEST(run({"aside"}).code == 1);
    BOOST_TEST(run({"help", "aside"}).code == 1);
    BOOST_TEST(holds(run({"config", "--help"}).out, "-I, --instead"));
}

BOOST_FIXTURE_TEST_CASE(buildcfg_prints_keys_and_values, World) {
    const Result r = run({"buildcfg"});
    BOOST_TEST(holds(r.out, "SINGULARITY_CONF_FILE=" + at("etc/singularity/singularity.yaml") + "\n"));
    BOOST_TEST(holds(r.out, "PREFIX=" + path() + "\n"));
}

BOOST_FIXTURE_TEST_CASE(the_index_is_compiled_at_install_and_used, World) {
    BOOST_TEST(run({"config", "compile"}).code == 0);
    BOOST_TEST(std::filesystem::exists(installation().site_index));
    BOOST_TEST(holds(run({"help"}).out, "hello"));
    BOOST_TEST(!std::filesystem::exists(at("home/.singularity")));  // nothing had to be kept there
}

BOOST_FIXTURE_TEST_CASE(a_closed_standard_stream_takes_no_file, World) {
    const pid_t pid = fork();
    if (pid == 0) {
        close(0), close(1), close(2);
        const std::string program = at("bin/singularity");
        execl(program.c_str(), "singularity", "help", nullptr);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 0);
}
