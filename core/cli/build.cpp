// singularity build TARGET SOURCE
#include <CLI/CLI.hpp>
#include <memory>

#include "base/log.hpp"
#include "build/convert.hpp"
#include "build/overwrite.hpp"
#include "build/source_request.hpp"
#include "cli/verb.hpp"

namespace sg {

namespace {

struct Options {
    std::string target, source, arch, compress;
    unsigned processors = 0;
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

Action declare(CLI::App& app) {
    auto o = std::make_shared<Options>();
    app.add_option("TARGET", o->target, "The image to make")->required();
    app.add_option("SOURCE", o->source, "A URI, an image file or a directory")->required();
    app.add_flag("-F,--force", o->force, "Replace TARGET without asking");
    variable(app.add_option("--arch", o->arch, "Architecture to choose from an image for several, as arm64"), "ARCH");
    sets_key(app.add_option("--compress", o->compress, "zstd[:LEVEL], gzip[:LEVEL], lz4 or xz"), "build.compress");
    sets_key(app.add_option("--processors", o->processors, "Threads to use"), "build.threads");
    examples(app, {"singularity build lolcow.sif docker-archive://lolcow.tar", "singularity build --sandbox lolcow_dir lolcow.sif"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb build_verb{"build", "Make images", "Build an image from a URI, an image or a directory", {}, true, declare};

}  // namespace sg
