// singularity apps IMAGE
#include <memory>

#include "cli/print.hpp"
#include "cli/verb.hpp"
#include "metadata/inspect.hpp"

namespace sg {

namespace {

Action declare(Arguments& arguments) {
    auto image_name = std::make_shared<std::string>();
    arguments.word("IMAGE", *image_name, "A SIF file, a sandbox directory or another image").required();
    arguments.examples({"singularity apps tools.sif"});
    return [image_name](Session& session) {
        const sg_call call = session.call();
        OpenedImage image = session.plugins.open_image(*image_name);
        std::string out;
        for (const auto& [name, app] : inspect_image(image, &call).apps) out += name + "\n";
        print(out);
        return 0;
    };
}

}  // namespace

extern const Verb apps_verb{"apps", "Look at images", "List the apps of an image", {}, true, declare};

}  // namespace sg
