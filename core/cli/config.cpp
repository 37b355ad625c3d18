// singularity config show | check | import | schema | compile | fakeroot
#include <memory>

#include "cli/config_actions.hpp"
#include "cli/verbs.hpp"
#include "config/store.hpp"
#include "runtime/subordinate_ids.hpp"

namespace sg {

namespace {

struct Options {
    std::string action, key, wanted, write;
    bool origin = false, add = false, remove = false, enable = false, disable = false;
};

// `config fakeroot`: the ids that a user may map besides his own.
int change_fakeroot(const Options& o) {
    using runtime::RangeEdit;
    if (o.add + o.remove + o.enable + o.disable != 1 || o.key.empty())
        throw Error(Code::usage, "config fakeroot: say what to do for whom", "the form is: singularity config fakeroot --add|--remove|--enable|--disable USER");
    runtime::edit_subordinate_ids(o.add ? RangeEdit::add : o.remove ? RangeEdit::remove : o.enable ? RangeEdit::enable : RangeEdit::disable, o.key);
    return 0;
}

// A word or an option that this action does not take is a mistake, not to be passed over.
void check_words(const Options& o) {
    const auto refuse = [&](bool given, const char* what, std::string_view action) {
        if (given && o.action != action) throw Error(Code::usage, std::string(what) + " belongs to 'config " + std::string(action) + "'");
    };
    refuse(!o.wanted.empty(), "--for", "check");
    refuse(!o.write.empty(), "--write", "import");
    refuse(o.origin, "--origin", "show");
    if (o.key.empty() || o.action == "show" || o.action == "fakeroot" || o.action == "import") return;
    throw Error(Code::usage, "config " + o.action + ": '" + o.key + "' is one word too many",
                o.action == "check" ? "What would happen to an image: singularity config check --for " + o.key : "");
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.usage("show [--origin] [KEY] | check [--for REFERENCE|IMAGE] | import [--write NAME] FILE | schema | compile | fakeroot --add|--remove|--enable|--disable USER");
    arguments.word("ACTION", o->action,
                   "show: the values in effect; check: what is wrong in the configuration files; import: another product's file; schema: "
                   "a JSON Schema of the files; compile: write the installation's index again; fakeroot: the ids that a user may map")
        .required()
        .one_of({"show", "check", "import", "schema", "compile", "fakeroot"});
    arguments.word("KEY", o->key, "show: one key, or a group of them as 'mount'; import: singularity.conf, apptainer.conf or ecl.toml; fakeroot: the user");
    arguments.text("--for", o->wanted, "check: would the site's policies let this be fetched or run, and which rule says so").shown_as("REFERENCE|IMAGE");
    arguments.text("--write", o->write, "import: add it to conf.d of this installation under this name").shown_as("NAME");
    arguments.flag("-a,--add", o->add, "fakeroot: give the user 65536 subordinate ids (/etc/subuid, /etc/subgid)");
    arguments.flag("-r,--remove", o->remove, "fakeroot: take them away");
    arguments.flag("-e,--enable", o->enable, "fakeroot: switch them on again");
    arguments.flag("-d,--disable", o->disable, "fakeroot: switch them off");
    arguments.flag("--origin", o->origin, "Say which file and line, variable or option set each value, and what is locked");
    arguments.examples({"singularity config show", "singularity config show --origin build.compress", "singularity config show mount", "singularity config check",
                        "singularity config check --for docker://alpine", "singularity config import /etc/apptainer/apptainer.conf"});
    return [o](Session& session) {
        check_words(*o);
        if (o->action == "show") return show_configuration(o->key, o->origin, session);
        if (o->action == "check") return o->wanted.empty() ? check_configuration(session) : check_permission(o->wanted, session);
        if (o->action == "import") return import_file(o->key, o->write, session);
        if (o->action == "schema") return print_schema(session);
        if (o->action == "fakeroot") return change_fakeroot(*o);
        write_site_index(session.installation);
        return 0;
    };
}

}  // namespace

extern const Verb config_verb{"config", "About this installation", "Show and check the configuration, and where it comes from", {}, false, declare};

}  // namespace sg
