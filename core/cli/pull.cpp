// singularity pull [FILE] URI
#include <sys/stat.h>

#include <memory>

#include "base/log.hpp"
#include "build/convert.hpp"
#include "build/source_request.hpp"
#include "cli/verb.hpp"

namespace sg {

namespace {

struct Options {
    std::vector<std::string> words;
    std::string name, directory, arch;
    bool force = false;
};

std::string target_of(const Options& o, const std::string& default_name) {
    std::string name = o.words.size() == 2 ? o.words[0] : o.name;
    if (name.empty()) name = default_name;
    if (name.empty()) throw Error(Code::usage, "this source gives no file name", "Name one: singularity pull FILE URI");
    return o.directory.empty() || name.front() == '/' ? name : o.directory + "/" + name;
}

int run(const Options& o, Session& session) {
    if (o.words.size() == 2 && !o.name.empty()) throw Error(Code::usage, "the file is named twice: " + o.words[0] + " and " + o.name);
    const sg_call call = session.call();
    const SourceRequest request = source_request(session.plugins, o.words.back(), o.arch, session.plugin_options());
    const sg_bootstrap_v1& source = session.plugins.bootstrap(request.scheme);
    const std::string target = target_of(o, resolve_source(source, request, &call).name);
    struct stat st;
    if (!o.force && lstat(target.c_str(), &st) == 0)
        throw Error(Code::exists, "image file already exists: \"" + target + "\" - will not overwrite", "Add --force to replace it.");
    log::info("Converting OCI blobs to " + shown_name(session.plugins.default_format()) + " format");
    convert(session.plugins, request, target, session.plugins.default_format(), convert_options(session.settings), &call);
    log::info("Build complete: " + target);
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.words("WORDS", o->words, "[FILE] URI").required().between(1, 2);
    arguments.text("--name,--dest", o->name, "The file to write");
    arguments.text("--dir", o->directory, "The directory to write to").variable("PULLDIR,PULLFOLDER");
    arguments.flag("-F,--force", o->force, "Replace a file of that name");
    arguments.text("--arch", o->arch, "Architecture to choose from an image for several, as arm64").variable("ARCH");
    arguments.examples({"singularity pull lolcow.sif oci-archive://lolcow.oci.tar"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb pull_verb{"pull", "Make images", "Fetch an image by its URI", {}, true, declare};

}  // namespace sg
