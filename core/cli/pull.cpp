// singularity pull [FILE] URI
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <optional>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "build/announce_file.hpp"
#include "build/cached_image.hpp"
#include "build/convert.hpp"
#include "cli/events.hpp"
#include "cli/verb.hpp"
#include "fetch/download.hpp"
#include "image/arch.hpp"
#include "lookup/announce.hpp"
#include "lookup/image_lookup.hpp"
#include "lookup/source_request.hpp"
#include "lookup/source_uri.hpp"
#include "store/output.hpp"

namespace sg {

namespace {

struct Options {
    std::vector<std::string> words;
    std::string name, directory, arch, arch_variant;
    bool force = false;
};

std::string target_of(const Options& o, const std::string& default_name) {
    std::string name = o.words.size() == 2 ? o.words[0] : o.name;
    if (name.empty()) name = default_name;
    if (name.empty()) throw Error(Code::usage, "this source gives no file name", "Name one: singularity pull FILE URI");
    return o.directory.empty() || name.front() == '/' ? name : o.directory + "/" + name;
}

void refuse_existing(const Options& o, const std::string& target) {
    struct stat st;
    if (!o.force && lstat(target.c_str(), &st) == 0)
        throw Error(Code::exists, "image file already exists: \"" + target + "\" - will not overwrite", "Add --force to replace it.");
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// A file is kept as it is, whatever it holds. One that was run lies in the cache.
void save(PluginHost& plugins, OpenedSource& source, const SourceRequest& request, const SourceIdentity& id, const std::string& shown,
          const std::string& target, const sg_call* call) {
    OutputFile file(target);
    const auto cached = ImageLookup(plugins, request, shown).find(id);
    if (cached) {
        copy_file(*cached, file.fd());
    } else {
        log::info("Downloading " + shown);
        download(source, file.fd(), directory_of(target));
    }
    announce_file(plugins, request, id.key, target, "/proc/self/fd/" + std::to_string(file.fd()), call);
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(file.fd(), 0777 & ~mask);
    file.commit();
    log::info((cached ? "Copied from the cache: " : "Download complete: ") + target);
}

// From the cache alone.
std::string pull_offline(const Options& o, Session& session, const sg_call& call) {
    Pairs options = session.plugin_options();
    if (!o.arch.empty()) options.emplace_back("arch", o.arch);
    const RunnableImage image = cached_image(session.plugins, o.words.back(), options, &call);
    const std::string target = target_of(o, image.path.substr(image.path.rfind('/') + 1));
    refuse_existing(o, target);
    OutputFile file(target);
    copy_file(image.path, file.fd());
    file.commit();
    log::info("Copied from the cache: " + target);
    return target;
}

// Gives the file that was written.
std::string fetch(const Options& o, Session& session, const sg_call& call) {
    if (o.words.size() == 2 && !o.name.empty()) throw Error(Code::usage, "the file is named twice: " + o.words[0] + " and " + o.name);
    if (session.settings.boolean("fetch.offline")) return pull_offline(o, session, call);
    const SourceRequest request = source_request(session.plugins, o.words.back(), o.arch, session.plugin_options());
    const sg_bootstrap_v1& source = session.plugins.bootstrap(request.scheme);
    const SourceIdentity id = resolve_source(source, request, &call);
    announce(session.plugins, "resolved", request, id.key);
    const std::string target = target_of(o, id.name);
    refuse_existing(o, target);
    OpenedSource opened(source, request, &call);
    if (opened.kind() == SG_BLOB) {
        save(session.plugins, opened, request, id, shown_uri(o.words.back()), target, &call);
        return target;
    }
    if (opened.kind() == SG_LAYERS) log::info("Converting OCI blobs to " + shown_name(session.plugins.default_format()) + " format");
    convert(session.plugins, opened, request, target, session.plugins.default_format(), convert_options(session.settings), &call);
    log::info("Build complete: " + target);
    return target;
}

int run(const Options& o, Session& session) {
    std::optional<EventProgress> events;
    if (session.json) events.emplace();
    const sg_call call{session.cancel, events ? static_cast<Progress*>(&*events) : &session.progress};
    std::string target;
    try {
        target = fetch(o, session, call);
    } catch (const Error& e) {
        // What the command line or the user decided speaks for itself.
        if (e.code() == Code::usage || e.code() == Code::exists || e.code() == Code::cancelled) throw;
        throw e.within("Unable to pull " + shown_uri(o.words.back()));  // Singularity's words
    }
    if (events) events->done(target);
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.usage("[FILE] URI");
    arguments.words("URI", o->words, "Where the image is; in front of it may stand the file to write").offers("URI").required().between(1, 2);
    arguments.text("--name,--dest", o->name, "The file to write");
    arguments.text("--dir", o->directory, "The directory to write to").variable("PULLDIR,PULLFOLDER");
    arguments.flag("-F,--force", o->force, "Replace a file of that name");
    arguments.text("--arch", o->arch, "Architecture to choose from an image for several, as arm64 or arm/v7").variable("ARCH");
    arguments.text("--arch-variant", o->arch_variant, "Its variant, as 7; the same as --arch arm/v7")
        .variable("PULL_ARCH_VARIANT");
    arguments.add(Argument::Kind::text, "--tmpdir", nullptr, "Directory for what is written on the way; else TMPDIR").shown_as("DIRECTORY").sets_key("tmpdir");
    arguments.add(Argument::Kind::integer, "--jobs", nullptr, "Layers to fetch at the same time").sets_key("fetch.jobs");
    arguments.add(Argument::Kind::flag, "--disable-cache", nullptr, "Use no cache and keep nothing in it").sets_key("cache.disable");
    arguments.add(Argument::Kind::flag, "--offline", nullptr, "Take the image from the cache, ask no server").sets_key("fetch.offline");
    arguments.examples({"singularity pull lolcow.sif oci-archive://lolcow.oci.tar"});
    return [o](Session& session) {
        o->arch = arch_with_variant(o->arch, o->arch_variant);
        return run(*o, session);
    };
}

}  // namespace

extern const Verb pull_verb{"pull", "Make images", "Fetch an image by its URI", {}, true, declare};

}  // namespace sg
