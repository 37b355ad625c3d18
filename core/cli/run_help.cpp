// singularity run-help IMAGE
#include <unistd.h>

#include <memory>

#include "base/log.hpp"
#include "cli/print.hpp"
#include "cli/verb.hpp"
#include "metadata/inspect.hpp"

namespace sg {

namespace {

struct Options {
    std::string image, app;
};

int run(const Options& o, Session& session) {
    const sg_call call = session.call();
    OpenedImage image = session.plugins.open_image(o.image);
    sg::Sections sections;
    sections.helpfile = true;
    sections.app = o.app;
    const Attributes shown = selected(inspect_image(image, &call), sections);
    const std::string text = o.app.empty() ? shown.helpfile : shown.apps.count(o.app) ? shown.apps.at(o.app).helpfile : "";
    if (text.empty()) {
        print(o.app.empty() ? "No help sections were defined for this image\n" : "No help sections were defined for the app '" + o.app + "'\n");
        return 0;
    }
    print(shown_text(shown, sections, LabelForm::text, ::isatty(STDOUT_FILENO) == 1));
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.word("IMAGE", o->image, "A SIF file, a sandbox directory or another image").required();
    arguments.text("--app", o->app, "An app of the image");
    arguments.examples({"singularity run-help lolcow.sif", "singularity run-help --app foo tools.sif"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb run_help_verb{"run-help", "Look at images", "Show the help text of an image", {}, true, declare};

}  // namespace sg
