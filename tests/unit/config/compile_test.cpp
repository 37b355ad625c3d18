#include "config/compile.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "config/encode.hpp"
#include "config/settings.hpp"
#include "config/store.hpp"
#include "scratch.hpp"

using namespace sg;

namespace {

struct World : Scratch {
    Index compiled() const { return Index::owning(encode_index(compile_configuration(installation(), home()))); }
    // The message and hint of the failure.
    std::string failure() const {
        try {
            compiled();
        } catch (const Error& e) {
            return e.message() + " | " + e.hint();
        }
        return "none";
    }
};

std::string value(const Index& index, std::string_view key) { return Settings(index).shown(key); }
std::string origin(const Index& index, std::string_view key) { return Settings(index).origin(key).where; }
bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_FIXTURE_TEST_CASE(without_files_the_defaults_hold, World) {
    const Index index = compiled();
    BOOST_TEST(value(index, "build.threads") == "0");
    BOOST_TEST(origin(index, "build.threads") == "built-in default");
    BOOST_TEST(value(index, "bind.paths") == "/etc/localtime, /etc/hosts");
}

BOOST_FIXTURE_TEST_CASE(each_layer_wins_over_the_one_before, World) {
    const std::string a = site("singularity.yaml", "build:\n  threads: 1\ntmpdir: /a\nmount.dev: minimal\n");
    BOOST_TEST(origin(compiled(), "build.threads") == a + ":2");
    site("conf.d/20-b.yaml", "build.threads: 3\n");
    const std::string b = site("conf.d/10-a.yaml", "build: {threads: 2}\ntmpdir: /b\n");
    BOOST_TEST(value(compiled(), "build.threads") == "3");  // by name, not by age
    BOOST_TEST(origin(compiled(), "tmpdir") == b + ":2");
    const std::string u = user("config.yaml", "\n\nbuild:\n  threads: 4\n");
    const Index index = compiled();
    BOOST_TEST(value(index, "build.threads") == "4");
    BOOST_TEST(origin(index, "build.threads") == u + ":4");
    BOOST_TEST((Settings(index).origin("build.threads").layer == Layer::user));
    BOOST_TEST(value(index, "mount.dev") == "minimal");
}

BOOST_FIXTURE_TEST_CASE(environment_and_command_line_come_last, World) {
    user("config.yaml", "build: {threads: 4}\n");
    const Index index = compiled();
    Settings settings(index);
    const char* environment[] = {"SINGULARITY_UNKNOWN=1",  "APPTAINER_BUILD_THREADS=5", "SINGULARITY_BUILD_THREADS=6", "SINGULARITY_TMPDIR=",
                                 "SINGULARITY_BIND_PATHS=/a,/b", "TMPDIR=/var/tmp", "APPTAINER_CACHEDIR=/c", nullptr};
    settings.apply_environment(environment);
    BOOST_TEST(settings.integer("build.threads") == 6);
    BOOST_TEST(settings.origin("build.threads").where == "SINGULARITY_BUILD_THREADS");
    BOOST_TEST(settings.text("tmpdir") == "/var/tmp");  // an empty variable is none
    BOOST_TEST(settings.text("cachedir") == "/c");
    BOOST_TEST(settings.list("bind.paths").size() == 2u);
    settings.set("build.threads", {"7"}, Layer::command_line, "--processors");
    BOOST_TEST(settings.integer("build.threads") == 7);
    BOOST_TEST(settings.origin("build.threads").where == "--processors");
    const char* wrong[] = {"SINGULARITY_BUILD_THREADS=many", nullptr};
    BOOST_CHECK_THROW(settings.apply_environment(wrong), Error);
    std::vector<Error> problems;
    settings.apply_environment(wrong, &problems);
    BOOST_REQUIRE(problems.size() == 1u);
    BOOST_TEST(holds(problems[0].message(), "SINGULARITY_BUILD_THREADS"));
    BOOST_CHECK_THROW(settings.text("no.key"), Error);
    BOOST_CHECK_THROW(settings.text("build.threads"), Error);
}

BOOST_FIXTURE_TEST_CASE(wrong_values_name_file_line_and_the_nearest_key, World) {
    const std::string f = site("conf.d/x.yaml", "build:\n  thread: 4\n");
    BOOST_TEST(holds(failure(), f + ":2: unknown configuration key 'build.thread' | Did you mean 'build.threads'?"));
    site("conf.d/x.yaml", "build:\n  threads: many\n");
    BOOST_TEST(holds(failure(), f + ":2: 'build.threads': 'many' is not a number"));
    site("conf.d/x.yaml", "build:\n  threads: [1, 2]\n");
    BOOST_TEST(holds(failure(), f + ":2"));
    site("conf.d/x.yaml", "mount: {dev: maximal}\n");
    BOOST_TEST(holds(failure(), "'maximal' is none of: yes, no, minimal"));
    site("conf.d/x.yaml", "mount: {home: perhaps}\n");
    BOOST_TEST(holds(failure(), f + ":1"));
    site("conf.d/x.yaml", "tmpdir: /a\ntmpdir: /b\n");
    BOOST_TEST(holds(failure(), f + ":2: 'tmpdir' is set twice"));
    site("conf.d/x.yaml", "tmpdir: [\n");
    BOOST_TEST(holds(failure(), f + ":"));
    site("conf.d/x.yaml", "- a\n- b\n");
    BOOST_TEST(holds(failure(), f + ":1"));
    site("conf.d/x.yaml", "build: {threads: -1}\n");
    BOOST_TEST(holds(failure(), "is negative"));
    site("conf.d/x.yaml", "limits: {file_size: 9999999999999999999}\n");
    BOOST_TEST(holds(failure(), "too large"));
    site("conf.d/x.yaml", "limits: {file_size: 9999999T}\n");
    BOOST_TEST(holds(failure(), "too large"));
    site("conf.d/x.yaml", "limits: {file_size: 2G}\nmount: {dev: true}\n# nothing else\n");
    BOOST_TEST(value(compiled(), "limits.file_size") == "2147483648");
    BOOST_TEST(value(compiled(), "mount.dev") == "yes");
    site("conf.d/x.yaml", "");
    BOOST_TEST(failure() == "none");
    site("conf.d/not-yaml.txt", "[[[");
    BOOST_TEST(failure() == "none");
}

BOOST_FIXTURE_TEST_CASE(nested_too_deeply_is_refused, World) {
    std::string deep;
    for (int i = 0; i < 40; ++i) deep += "{a: ";
    site("singularity.yaml", deep + "1" + std::string(40, '}') + "\n");
    BOOST_TEST(holds(failure(), "nested too deeply"));
}

BOOST_FIXTURE_TEST_CASE(a_list_can_be_added_to_and_each_value_keeps_its_place, World) {
    const std::string a = site("conf.d/10-a.yaml", "bind:\n  paths+:\n    - /a\n    - /b\n");
    const std::string b = site("conf.d/20-b.yaml", "bind: {paths+: /c}\n");
    site("conf.d/30-again.yaml", "bind: {paths+: [/a]}\n");
    const Index index = compiled();
    const Settings s(index);
    BOOST_TEST(s.shown("bind.paths") == "/etc/localtime, /etc/hosts, /a, /b, /c");
    BOOST_TEST(s.origin("bind.paths", 0).where == "built-in default");
    BOOST_TEST(s.origin("bind.paths", 2).where == a + ":3");
    BOOST_TEST(s.origin("bind.paths", 3).where == a + ":4");
    BOOST_TEST(s.origin("bind.paths", 4).where == b + ":1");
    site("conf.d/40.yaml", "bind: {paths: [/only]}\n");
    BOOST_TEST(value(compiled(), "bind.paths") == "/only");
    const std::string wrong = site("conf.d/50.yaml", "build: {threads+: 1}\n");
    BOOST_TEST(holds(failure(), wrong + ":1: 'build.threads' takes one value"));
    site("conf.d/50.yaml", "build+: {threads: 1}\n");
    BOOST_TEST(holds(failure(), wrong + ":1: 'build+' is a group of keys"));
}

BOOST_FIXTURE_TEST_CASE(adding_to_a_locked_list_is_refused_as_well, World) {
    const std::string lock = site("conf.d/10.yaml", "bind: {paths: [/a]}\nlocks: [bind.paths]\n");
    const std::string u = user("config.yaml", "bind: {paths+: [/b]}\n");
    BOOST_TEST(holds(failure(), u + ":1: this site has locked 'bind.paths' (" + lock + ":2)"));
    user("config.yaml", "bind: {paths+: [/a]}\n");
    BOOST_TEST(origin(compiled(), "bind.paths") == lock + ":1");
}

BOOST_FIXTURE_TEST_CASE(a_value_that_equals_a_locked_one_is_taken_and_stays_the_sites, World) {
    const std::string lock = site("conf.d/10.yaml", "tmpdir: /site\nlocks: [tmpdir]\n");
    const Index index = compiled();
    Settings s(index);
    s.set("tmpdir", {"/site"}, Layer::command_line, "--set");
    BOOST_TEST(s.origin("tmpdir").where == lock + ":1");
    BOOST_CHECK_EXCEPTION(s.need_unlocked("tmpdir", "--tmp"), Error, [&](const Error& e) {
        return is_locked_error(e) && holds(e.message(), "--tmp: this site has locked");
    });
    s.need_unlocked("cachedir", "--x");
}

BOOST_FIXTURE_TEST_CASE(an_included_directory_is_read_after_the_installations_own_files, World) {
    const std::string more = at("more");
    const std::string own =
        site("singularity.yaml", "include: [" + more + ", " + at("nothing") + "]\nbuild: {threads: 1}\n");
    site("conf.d/99.yaml", "build: {threads: 2}\ntmpdir: /own\n");
    const std::string there = write("more/conf.d/10.yaml", "build: {threads: 3}\nlocks: [build.threads]\n");
    write("more/plugins/extra/plugin.yaml",
          "name: extra\nobject: extra.so\nabi: 1\nsummary: s\nprovides: [{bootstrap: {scheme: extra, summary: s}}]\n");
    write("more/plugins.d/10.yaml", "plugins: [extra/plugin.yaml]\n");
    const Index index = compiled();
    BOOST_TEST(origin(index, "build.threads") == there + ":1");
    BOOST_TEST(value(index, "tmpdir") == "/own");
    BOOST_TEST(index.find_key("build.threads")->lock_file == there);
    BOOST_TEST(index.find(CapabilityKind::bootstrap, "extra").has_value());
    write("more/conf.d/20.yaml", "include: [" + at("third") + "]\n");
    BOOST_TEST(holds(failure(), more + "/conf.d/20.yaml:1: only files of"));
    std::filesystem::remove(more + "/conf.d/20.yaml");
    site("singularity.yaml", "include: [relative]\n");
    BOOST_TEST(holds(failure(), own + ":1: an included directory has an absolute path"));
    site("singularity.yaml", "");
    user("config.yaml", "include: [/x]\n");
    BOOST_TEST(holds(failure(), "only files of the site may include directories"));
}

BOOST_FIXTURE_TEST_CASE(a_variable_chooses_an_included_directory, World) {
    const std::string own = site("singularity.yaml", "include: ['" + at("sites") + "/${SG_TEST_CLUSTER}']\n");
    write("sites/one/singularity.yaml", "tmpdir: /one\n");
    write("sites/two/singularity.yaml", "tmpdir: /two\n");
    age();
    ::unsetenv("SG_TEST_CLUSTER");
    const Index none = compiled();
    BOOST_TEST(value(none, "tmpdir") == "");
    BOOST_TEST(index_is_current(none));
    ::setenv("SG_TEST_CLUSTER", "one", 1);
    BOOST_TEST(!index_is_current(none));
    const Index one = compiled();
    BOOST_TEST(value(one, "tmpdir") == "/one");
    BOOST_TEST(index_is_current(one));
    ::setenv("SG_TEST_CLUSTER", "two", 1);
    BOOST_TEST(!index_is_current(one));
    BOOST_TEST(value(compiled(), "tmpdir") == "/two");
    ::setenv("SG_TEST_CLUSTER", "../../home", 1);
    BOOST_TEST(holds(failure(), own + ":1: the value '../../home' of SG_TEST_CLUSTER is no name of a directory"));
    ::unsetenv("SG_TEST_CLUSTER");
}

BOOST_FIXTURE_TEST_CASE(all_that_is_wrong_is_found_at_once, World) {
    const std::string a = site("conf.d/10.yaml", "build: {thread: 1}\nmount:\n  home: perhaps\n  proc: [1]\n");
    const std::string b = site("conf.d/20.yaml", "build: [\n");
    const std::string c =
        site("conf.d/30.yaml", "build: {threads: {a: {}}}\nlimits: {entries: {b: c}}\nlocks: [nothing]\ntmpdir: /ok\n");
    std::vector<Error> problems;
    const model::Configuration all = compile_what_can_be(installation(), home(), problems);
    std::string told;
    for (const auto& p : problems) told += p.message() + "\n";
    for (const std::string& place : {a + ":1", a + ":3", a + ":4", b + ":", c + ":2", c + ":3"})
        BOOST_TEST(holds(told, place), place + " is not in " + told);
    BOOST_TEST(value(Index::owning(encode_index(all)), "tmpdir") == "/ok");
}

BOOST_FIXTURE_TEST_CASE(a_lock_binds_every_later_layer_and_is_named, World) {
    const std::string lock = site("conf.d/10.yaml", "mount: {home: no}\nlocks:\n  - tmpdir\n  - mount.home\n");
    site("conf.d/20.yaml", "tmpdir: /site\n");  // a site may still change what it locked
    const std::string u = user("config.yaml", "tmpdir: /mine\n");
    BOOST_TEST(holds(failure(), u + ":1: this site has locked 'tmpdir' (" + lock + ":3)"));
    user("config.yaml", "tmpdir: /site\n");  // the same value is no change
    const Index index = compiled();
    BOOST_TEST(value(index, "tmpdir") == "/site");
    Settings settings(index);
    const char* environment[] = {"SINGULARITY_MOUNT_HOME=yes", nullptr};
    BOOST_CHECK_EXCEPTION(settings.apply_environment(environment), Error,
                          [&](const Error& e) { return holds(e.message(), "SINGULARITY_MOUNT_HOME") && holds(e.message(), lock + ":4"); });
    BOOST_CHECK_EXCEPTION(settings.set("tmpdir", {"/x"}, Layer::command_line, "--tmpdir"), Error,
                          [&](const Error& e) { return e.code() == Code::permission && holds(e.message(), lock + ":3"); });
    settings.set("tmpdir", {"/site"}, Layer::command_line, "--tmpdir");
    const char* plain[] = {"TMPDIR=/tmp", nullptr};  // everybody's variable is no attempt
    Settings fresh(index);
    fresh.apply_environment(plain);
    BOOST_TEST(fresh.text("tmpdir") == "/site");
    user("config.yaml", "locks: [tmpdir]\n");
    BOOST_TEST(holds(failure(), u + ":1: only files of the site may lock keys"));
    user("config.yaml", "");
    site("conf.d/30.yaml", "locks: [tmpdri]\n");
    BOOST_TEST(holds(failure(), "Did you mean 'tmpdir'?"));
}

BOOST_FIXTURE_TEST_CASE(plugins_are_added_replaced_moved_configured_and_disabled, World) {
    plugin("a", manifest("a", "config: [{key: a.retries, type: integer, default: 5, doc: d}]\n"));
    plugin("b", manifest("b"));
    const std::string first = site("plugins.d/00.yaml", "plugins:\n  - a/plugin.yaml\n  - manifest: b/plugin.yaml\n");
    {
        const Index index = compiled();
        BOOST_TEST(index.plugin(0).name == "a");
        BOOST_TEST(index.plugin(1).registered_line == 3u);
        BOOST_TEST(index.plugin(1).registered_in == first);
        BOOST_TEST(index.plugin(0).object == installation().plugin_dir + "/a/a.so");
        BOOST_TEST(value(index, "a.retries") == "5");
        BOOST_TEST(index.find_key("a.retries")->plugin == "a");
    }
    const std::string second =
        site("plugins.d/50.yaml", "plugins:\n  - {name: b, before: a}\n  - {name: a, config: {a.retries: 9}}\n");
    {
        const Index index = compiled();
        BOOST_TEST(index.plugin(0).name == "b");
        BOOST_TEST(value(index, "a.retries") == "9");
        BOOST_TEST(origin(index, "a.retries") == second + ":3");
    }
    site("plugins.d/50.yaml", "plugins:\n  - {name: a, enabled: no}\n");
    site("singularity.yaml", "a: {retries: 3}\n");  // a key of a disabled plugin is no error
    {
        const Index index = compiled();
        BOOST_TEST(!index.find_plugin("a")->active);
        BOOST_TEST(index.find_plugin("a")->why == "disabled in " + second + ":2");
        BOOST_TEST(!index.find(CapabilityKind::bootstrap, "a").has_value());
        BOOST_TEST(!index.find_key("a.retries").has_value());
    }
    // What only moves or configures it leaves it off; who says so switches it on again.
    site("plugins.d/60.yaml", "plugins:\n  - {name: a, before: b}\n  - {name: a, config: {}}\n");
    BOOST_TEST(!compiled().find_plugin("a")->active);
    site("plugins.d/60.yaml", "plugins:\n  - {name: a, enabled: yes}\n");
    BOOST_TEST(compiled().find_plugin("a")->active);
    site("plugins.d/60.yaml", "");
    // Another plugin of the same name takes its place; another one with the same scheme hides it.
    write("elsewhere/plugin.yaml", manifest("a"));
    std::string c = manifest("c");
    c.replace(c.find("scheme: c"), 9, "scheme: b");
    plugin("c", c);
    site("singularity.yaml", "");
    site("plugins.d/50.yaml", "plugins:\n  - manifest: " + at("elsewhere/plugin.yaml") + "\n  - c/plugin.yaml\n");
    const Index index = compiled();
    BOOST_TEST(index.find_plugin("a")->manifest == at("elsewhere/plugin.yaml"));
    BOOST_TEST(index.plugin(0).why == "replaced by " + second + ":2");
    BOOST_TEST(index.plugin(index.find(CapabilityKind::bootstrap, "b")->plugin).name == "c");
    BOOST_TEST(index.capabilities_of(1).at(0).shadowed);
}

BOOST_FIXTURE_TEST_CASE(a_wrong_plugin_harms_nobody_else_and_says_why, World) {
    plugin("a", manifest("a"));
    plugin("newer", "name: newer\nobject: x.so\nabi: 99\nprovides:\n  - bootstrap: {scheme: newer}\n");
    const std::string w = plugin("wrong", "name: wrong\nobject: x.so\nabi: 1\nprovides:\n  - bootstrap: {schema: x}\n");
    const std::string f =
        site("plugins.d/00.yaml", "plugins: [a/plugin.yaml, newer/plugin.yaml, wrong/plugin.yaml,\n nowhere/plugin.yaml, {manifest: no/plugin.yaml, optional: yes}]\n");
    const Index index = compiled();
    BOOST_TEST(index.find(CapabilityKind::bootstrap, "a").has_value());
    BOOST_TEST(!index.find(CapabilityKind::bootstrap, "newer").has_value());
    std::string all;
    for (const auto warning : index.warnings()) all.append(warning).append("\n");
    BOOST_TEST(holds(all, f + ":1: plugin newer is not active: it needs plugin ABI 99"));
    BOOST_TEST(holds(all, w + ":5: unknown member 'schema' in bootstrap. Did you mean 'scheme'?"));
    BOOST_TEST(holds(all, f + ":2: plugin nowhere/plugin.yaml is not active"));
    BOOST_TEST(!holds(all, "no/plugin.yaml is not"));
}

BOOST_FIXTURE_TEST_CASE(a_wrong_registration_file_registers_nothing_and_harms_no_other, World) {
    plugin("a", manifest("a"));
    site("plugins.d/00.yaml", "plugins: [a/plugin.yaml]\n");
    for (const auto& [text, said] : std::vector<std::pair<std::string, std::string>>{
             {"plugins:\n  - {manifests: a/plugin.yaml}\n", ":2: unknown member 'manifests': nothing in this file is registered. Did you mean 'manifest'?"},
             {"plugins: {}\n", ":1: 'plugins' must be a list: nothing in this file is registered"},
             {"plugin: []\n", ":1: unknown member 'plugin': nothing in this file is registered. Did you mean 'plugins'?"},
             {"plugins: [{name: a, enabled: perhaps}]\n", ":1"},
             {"plugins:\n  - name: a\n    enabled: [no]\n", ":3: enabled must be yes or no: nothing in this file is registered"},
             {"{", ":"},
             {std::string(9 << 20, '#'), ": is larger than 8 MiB: nothing in this file is registered"}}) {
        const std::string f = site("plugins.d/50.yaml", text);
        const Index index = compiled();
        BOOST_TEST(index.find(CapabilityKind::bootstrap, "a").has_value());
        BOOST_REQUIRE(index.warnings().size() == 1u);
        BOOST_TEST(holds(std::string(index.warnings()[0]), f + said), index.warnings()[0]);
        std::vector<Error> problems;  // for who checks the configuration it is one
        compile_what_can_be(installation(), home(), problems);
        BOOST_TEST(problems.size() == 1u);
    }
}

BOOST_FIXTURE_TEST_CASE(users_register_plugins_unless_the_site_says_no, World) {
    user("plugins/mine/plugin.yaml", manifest("mine"));
    user("plugins.d/a.yaml", "plugins: [mine/plugin.yaml]\n");
    BOOST_TEST(compiled().find(CapabilityKind::bootstrap, "mine").has_value());
    const std::string s = site("singularity.yaml", "# policy\nplugins: {user: no}\n");
    const Index index = compiled();
    BOOST_TEST(!index.find(CapabilityKind::bootstrap, "mine").has_value());
    // It is listed, with the reason, and adds nothing.
    const auto mine = index.find_plugin("mine");
    BOOST_REQUIRE(mine.has_value());
    BOOST_TEST(mine->why == "this site forbids plugins of users (" + s + ":2)");
    BOOST_TEST(index.warnings().empty());
    // No file of the user's, variable or option changes that.
    BOOST_TEST(holds(std::string(index.find_key("plugins.user")->lock_file), s));
    const std::string u = user("config.yaml", "plugins: {user: yes}\n");
    BOOST_TEST(holds(failure(), u + ":1: this site has locked 'plugins.user' (" + s + ":2)"));
    // A plugin of the site's is not replaced by one that is forbidden.
    user("config.yaml", "");
    plugin("mine", manifest("mine"));
    site("plugins.d/00.yaml", "plugins: [mine/plugin.yaml]\n");
    BOOST_TEST(compiled().find(CapabilityKind::bootstrap, "mine").has_value());
}

BOOST_FIXTURE_TEST_CASE(files_that_others_may_write_are_not_used, World) {
    user("plugins/mine/plugin.yaml", manifest("mine"));
    const std::string u = user("plugins.d/a.yaml", "plugins: [mine/plugin.yaml]\n");
    chmod(u.c_str(), 0666);
    const Index index = compiled();
    BOOST_TEST(!index.find(CapabilityKind::bootstrap, "mine").has_value());
    BOOST_TEST(holds(std::string(index.warnings().at(0)), u));
    const std::string s = site("singularity.yaml", "tmpdir: /x\n");
    chmod(s.c_str(), 0666);
    BOOST_TEST(holds(failure(), s + ": is not used, because other users may write to it | Run: chmod go-w " + s));
}

BOOST_FIXTURE_TEST_CASE(directories_that_others_may_write_register_nothing, World) {
    plugin("a", manifest("a"));
    site("plugins.d/00.yaml", "plugins: [a/plugin.yaml]\n");
    user("plugins/mine/plugin.yaml", manifest("mine"));
    user("plugins.d/a.yaml", "plugins: [mine/plugin.yaml]\n");
    const auto found = [](const Index& index, const char* name) { return index.find(CapabilityKind::bootstrap, name).has_value(); };
    for (const char* open : {"home/.singularity/plugins.d", "home/.singularity", "home", "home/.singularity/plugins/mine", "home/.singularity/plugins"}) {
        chmod(at(open).c_str(), 0777);
        const Index index = compiled();
        BOOST_TEST(!found(index, "mine"), open);
        BOOST_TEST(found(index, "a"));
        BOOST_REQUIRE(!index.warnings().empty());
        BOOST_TEST(holds(std::string(index.warnings()[0]), at(open) + ", which other users may write to"));
        chmod(at(open).c_str(), 0755);
    }
    BOOST_TEST(found(compiled(), "mine"));
    chmod(at("home").c_str(), 01777);  // sticky, as /tmp: who may write there cannot exchange what is others'
    BOOST_TEST(found(compiled(), "mine"));
    chmod(at("etc/singularity/plugins.d").c_str(), 0777);
    BOOST_TEST(holds(failure(), at("etc/singularity/plugins.d") + ", which other users may write to | Run: chmod go-w"));
}

BOOST_FIXTURE_TEST_CASE(nothing_is_read_from_a_home_of_somebody_else, World) {
    if (geteuid() != 0) {
        BOOST_TEST_MESSAGE("skipped: only root can give a directory to somebody else");
        return;
    }
    user("config.yaml", "build: {threads: 4}\n");
    BOOST_TEST(value(compiled(), "build.threads") == "4");
    BOOST_REQUIRE(chown(at("home").c_str(), 12345, 12345) == 0);
    BOOST_TEST(!home().trusted);
    BOOST_TEST(value(compiled(), "build.threads") == "0");
}

BOOST_FIXTURE_TEST_CASE(what_is_wrong_can_be_left_out_for_help, World) {
    plugin("a", manifest("a"));
    site("plugins.d/00.yaml", "plugins: [a/plugin.yaml]\n");
    site("singularity.yaml", "build: {threads: 2}\ntmpdri: /x\n");
    site("conf.d/x.yaml", "[\n");
    std::vector<Error> problems;
    const Index index = Index::owning(encode_index(compile_what_can_be(installation(), home(), problems)));
    BOOST_TEST(problems.size() == 2u);
    BOOST_TEST(index.find(CapabilityKind::bootstrap, "a").has_value());
    BOOST_TEST(value(index, "build.threads") == "2");
}

BOOST_FIXTURE_TEST_CASE(a_manifest_tells_all, World) {
    const std::string m = plugin("all", R"(
name: all
object: all.so
abi: 1
provides:
  - bootstrap: {scheme: [web, webs], keywords: [namespace], publishes: yes, remote: yes}
  - format: {name: flat, shape: directory, magics: [{offset: 0, hex: "7Fff"}, {text: hsqs}], extensions: [flat], default: yes, selected_by: flatten, selected_short: f}
  - command: {verb: cloud, summary: s, example: [one, two], options: [{long: all, short: a}], verbs: [{verb: list, hidden: yes, verbs: [{verb: deep}]}]}
  - hook: {name: audit, events: [before_run, ended], wants: [digest]}
  - hook: {name: watch, events: [ended], wants: [signers]}
options:
  - {verbs: [pull, build], long: cloud-login, type: text, variable: CLOUD_LOGIN, help: h}
  - {verbs: [build], long: in-cloud, takes_over: cloud list deep}
config:
  - {key: cloud.hosts, type: list, default: [a, b]}
  - {key: cloud.on, type: boolean, default: on}
  - {key: cloud.mode, type: text, default: fast, choices: [fast, slow], variable: MODE_OF_CLOUD}
cache: [{area: cloud-tmp, order: 20, title: T}]
absent: [{scheme: web, message: "Install all."}]
)");
    const Index index = Index::owning(encode_index(compile_manifests({m}, {{"cloud.mode", "slow"}})));
    BOOST_TEST(index.warnings().empty());
    BOOST_TEST(index.find(CapabilityKind::bootstrap, "webs")->publishes);
    BOOST_TEST(index.find(CapabilityKind::bootstrap, "webs")->remote);
    const auto flat = index.find(CapabilityKind::format, "flat");
    BOOST_TEST(flat->directory);
    BOOST_TEST(flat->standard);
    BOOST_TEST((flat->magics.at(0).bytes == "\x7f\xff"));
    BOOST_TEST(flat->magics.at(1).bytes == "hsqs");
    BOOST_TEST(flat->selected_by == "flatten");
    const auto commands = index.commands(*index.find(CapabilityKind::command, "cloud"));
    BOOST_REQUIRE(commands.size() == 3u);
    BOOST_TEST(commands[2].verb == "cloud list deep");
    BOOST_TEST(commands[0].example == "one\ntwo");
    BOOST_TEST(!commands[0].hidden);
    BOOST_TEST(commands[2].hidden);
    BOOST_TEST(index.options_of("build").at(1).takes_over == "cloud list deep");
    BOOST_TEST(index.options_of("pull").at(0).long_name == "cloud-login");
    BOOST_TEST(index.find(CapabilityKind::hook, "audit")->words.size() == 2u);
    BOOST_TEST(index.find(CapabilityKind::hook, "audit")->wants_digest);
    BOOST_TEST(!index.find(CapabilityKind::hook, "audit")->wants_signers);
    BOOST_TEST(!index.find(CapabilityKind::hook, "watch")->wants_digest);
    BOOST_TEST(index.find(CapabilityKind::hook, "watch")->wants_signers);
    BOOST_TEST(value(index, "cloud.hosts") == "a, b");
    BOOST_TEST(value(index, "cloud.on") == "true");
    BOOST_TEST(value(index, "cloud.mode") == "slow");
    BOOST_TEST(index.find_variable("MODE_OF_CLOUD").has_value());
    BOOST_TEST(index.cache_areas().at(0).order == 20);
    BOOST_TEST(index.absent("web") == "Install all.");
    BOOST_TEST(index.find_plugin("all")->object == installation().plugin_dir + "/all/all.so");
}

BOOST_FIXTURE_TEST_CASE(wrong_manifests_are_told_with_file_and_line, World) {
    const char* const wrong[] = {
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - format: {name: x, magics: [{hex: 7}]}\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - format: {name: x, magics: [{hex: zz}]}\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - format: {name: x, shape: round}\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - bootstrap: {scheme: 'a b'}\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - hook: {name: x, events: [befor_run]}\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - hook: {name: x, events: [ended], wants: [digests]}\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - command: {summary: s}\n",
        "name: x\nobject: x.so\nabi: one\nprovides:\n  - transport: {scheme: x}\n",
        "name: ../x\nobject: x.so\nabi: 1\nprovides:\n  - transport: {scheme: x}\n",
        "name: x\nabi: 1\nprovides:\n  - transport: {scheme: x}\n",
        "name: x\nobject: x.so\nabi: 1\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - transport: {scheme: x}\noptions: [{long: y, verbs: [pull]}]\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - transport: {scheme: x}\nconfig: [{key: x.y, type: integer, "
        "default: z}]\n",
        "name: x\nobject: x.so\nabi: 1\nprovides: []\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - command: {verb: x}\noptions: [{long: yy, verbs: [pull], "
        "takes_over: y}]\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - command: {verb: x}\noptions: [{long: yy, verbs: [pull], "
        "takes_over: x, type: list}]\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - command: {verb: x, verbs: [{verb: y}]}\noptions: [{long: yy, "
        "verbs: [pull], takes_over: x}]\n",
        "name: x\nobject: x.so\nabi: 1\nprovides:\n  - command: {verb: x, hidden: maybe}\n",
        "[]\n",
        "name: {\n",
    };
    for (const char* text : wrong) {
        const std::string m = plugin("x", text);
        const auto c = compile_manifests({m});
        BOOST_REQUIRE_MESSAGE(c.plugins.size() == 1 && !c.plugins[0].active, text);
        BOOST_TEST_MESSAGE(c.plugins[0].why);
        BOOST_TEST(holds(c.plugins[0].why, m + ":"), text);
    }
}
