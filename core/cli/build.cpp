// singularity build TARGET SOURCE
#include <memory>

#include "base/log.hpp"
#include "build/convert.hpp"
#include "build/overwrite.hpp"
#include "build/source_request.hpp"
#include "cli/verb.hpp"

namespace sg {

namespace {

struct Options {
    std::string target, source, arch;
    bool force = false;
};

int run(const Options& o, Session& session) {
    const sg_call call = session.call();
    const SourceRequest request = source_request(session.plugins, o.source, o.arch, session.plugin_options());
    const FormatEntry format =
        session.format.empty() ? session.plugins.default_format() : session.plugins.format(session.format);
    allow_overwrite(o.target, format.directory, o.force);
    convert(session.plugins, request, o.target, format, convert_options(session.settings), &call);
    log::info("Build complete: " + o.target);
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.word("TARGET", o->target, "The image to make").required();
    arguments.word("SOURCE", o->source, "A URI, an image file or a directory").required();
    arguments.flag("-F,--force", o->force, "Replace TARGET without asking");
    arguments.text("--arch", o->arch, "Architecture to choose from an image for several, as arm64").variable("ARCH");
    arguments.add(Argument::Kind::text, "--compress", nullptr, "zstd[:LEVEL], gzip[:LEVEL], lz4 or xz").sets_key("build.compress");
    arguments.add(Argument::Kind::integer, "--processors", nullptr, "Threads to use").sets_key("build.threads");
    arguments.examples({"singularity build lolcow.sif docker-archive://lolcow.tar", "singularity build --sandbox lolcow_dir lolcow.sif"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb build_verb{"build", "Make images", "Build an image from a URI, an image or a directory", {}, true, declare};

}  // namespace sg
