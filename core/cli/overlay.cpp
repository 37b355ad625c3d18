// singularity overlay create IMAGE
#include "build/overlay_file.hpp"

#include <memory>

#include "base/log.hpp"
#include "cli/verb.hpp"

namespace sg {

namespace {

Action declare(Arguments& arguments) {
    auto o = std::make_shared<build::OverlayFile>();
    Arguments& create = arguments.command("create", "Make a file, or a part of an image, that keeps what containers write");
    create.word("IMAGE", o->path, "A new file, or an image that gets the overlay as a part of it").required();
    create.integer("-s,--size", o->mebibytes, "Its size in MiB (64)").shown_as("MIB");
    create.flag("-S,--sparse", o->sparse, "The file takes room on disk only for what is written");
    create.list("--create-dir", o->directories, "Make this directory in it, owned by you").shown_as("DIR");
    create.flag("-f,--fakeroot", o->for_root, "Its directories belong to root, for use with --fakeroot");
    create.examples({"singularity overlay create --size 1024 changes.img", "singularity overlay create --create-dir /opt/data image.sif",
                     "singularity exec --overlay changes.img image.sif touch /opt/kept"});
    return [o](Session& session) {
        const sg_call call = session.call();
        build::create_overlay(*o, session.plugins, call);
        return 0;
    };
}

}  // namespace

extern const Verb overlay_verb;
const Verb overlay_verb{"overlay", "Run containers", "Make overlays, which keep what containers write", {}, true, declare};

}  // namespace sg
