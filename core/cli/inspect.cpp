// singularity inspect IMAGE
#include "metadata/inspect.hpp"

#include <unistd.h>

#include <memory>

#include "cli/print.hpp"
#include "cli/verb.hpp"

namespace sg {

namespace {

struct Options {
    std::string image, format;
    Sections sections;
    bool json = false, all = false;
};

int run(const Options& o, Session& session) {
    Sections s = o.sections;
    if (o.all) {
        const bool apps = s.app.empty();
        s.labels = s.deffile = s.runscript = s.startscript = s.test = s.environment = s.helpfile = true;
        s.list_apps = s.list_apps || apps;
    }
    if (!(s.labels || s.deffile || s.runscript || s.startscript || s.test || s.environment || s.helpfile ||
          s.list_apps))
        s.labels = true;
    const sg_call call = session.call();
    OpenedImage image = session.plugins.open_image(o.image);
    const Attributes all = inspect_image(image, &call);
    if (o.json || o.all || session.json) {
        Attributes out = selected(all, s);
        // --all tells everything about each app, not only its name.
        if (o.all && s.app.empty()) out.apps = all.apps;
        print(attributes_json(out, "\t"));
        return 0;
    }
    if (!o.format.empty() && o.format != session.settings.text("inspect.format"))
        session.settings.need_unlocked("inspect.format", "--format");
    const std::string format = o.format.empty() ? session.settings.text("inspect.format") : o.format;
    print(shown_text(all, s, format == "text" ? LabelForm::text : LabelForm::json, ::isatty(STDOUT_FILENO) == 1));
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    Sections& s = o->sections;
    arguments.word("IMAGE", o->image, "A SIF file, a sandbox directory or another image").required();
    arguments.flag("-l,--labels", s.labels, "Show the labels (what is shown when nothing else is asked for)");
    arguments.flag("-d,--deffile", s.deffile, "Show the definition that the image was built from");
    arguments.flag("-r,--runscript", s.runscript, "Show the script that `run` runs");
    arguments.flag("-s,--startscript", s.startscript, "Show the script that `instance start` runs");
    arguments.flag("-t,--test", s.test, "Show the test script");
    arguments.flag("-e,--environment", s.environment, "Show the environment scripts");
    arguments.flag("-H,--helpfile", s.helpfile, "Show the help text");
    arguments.flag("--list-apps", s.list_apps, "List the apps");
    arguments.text("--app", s.app, "Show this app instead of the image");
    arguments.flag("-j,--json", o->json, "Print JSON: {\"data\":{\"attributes\":...},\"type\":\"container\"}");
    arguments.flag("--all", o->all, "Show everything, as JSON");
    arguments.text("--format", o->format, "How labels are printed: json or text (default: the key inspect.format)")
        .one_of({"json", "text"});
    arguments.examples({"singularity inspect lolcow.sif", "singularity inspect --runscript lolcow.sif",
                   "singularity inspect --all lolcow.sif"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb inspect_verb{"inspect", "Look at images", "Show the labels, scripts and definition of an image", {},
                               true,      declare};

}  // namespace sg
