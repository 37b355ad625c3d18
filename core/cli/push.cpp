// singularity push FILE URI
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "base/log.hpp"
#include "cli/arguments.hpp"
#include "cli/verb.hpp"
#include "fetch/opened_source.hpp"
#include "image/file_digest.hpp"
#include "lookup/source_request.hpp"
#include "lookup/source_uri.hpp"
#include "runtime/image_policy.hpp"
#include "runtime/told_image.hpp"

namespace sg {

namespace {

struct Options {
    std::string file, uri;
};

// "oras, library", as the manifests say.
std::string publishing_schemes(const Index& index) {
    std::string out;
    for (const auto& c : index.capabilities(CapabilityKind::bootstrap))
        if (c.publishes) out.append(out.empty() ? "" : ", ").append(c.name).append("://");
    return out;
}

void require_file(const std::string& path) {
    struct stat st;
    if (stat(path.c_str(), &st) != 0) throw system_error(errno, "cannot open", path);
    if (!S_ISREG(st.st_mode))
        throw Error(Code::invalid, path + " is no file, and only an image file can be pushed", "Make one of it: singularity build FILE " + path);
}

// All of the file is about to be read anyway, so whoever listens is told its digest.
void tell_hooks(const std::string& reference, const std::string& file, const runtime::ImagePolicy& policy,
                Session& session, const sg_call& call) {
    if (!session.plugins.listens("before_push")) return;
    const auto digest = [&](const std::string& path) { return file_digest(path, &call); };
    runtime::ToldImage told{reference, file, runtime::image_digest(session.settings, file, digest), policy.signers};
    runtime::find_out_for_hooks(session.plugins, {"before_push"}, told, digest, &call);
    runtime::tell_hooks(session.plugins, "before_push", told);
}

int run(const Options& o, Session& session) {
    const Index& index = session.plugins.index();
    const std::string can = publishing_schemes(index);
    const std::string hint = can.empty() ? "No registered plugin can push." : "What can be pushed to: " + can;
    const SourceUri uri = split_uri(o.uri);
    if (uri.scheme.empty()) throw Error(Code::usage, "'" + o.uri + "' is no URI to push to", hint);
    const SourceRequest request = source_request(session.plugins, o.uri, "", session.plugin_options());
    const sg_publish_v1* table = session.plugins.publish(request.scheme);
    if (!table) throw Error(Code::unsupported, "images cannot be pushed to " + request.scheme + "://", hint);
    require_file(o.file);
    const sg_call call = session.call();
    const std::string reference = request.scheme + "://" + request.reference;
    const auto policy = runtime::permit_image(session.plugins, {o.file}, &call);
    tell_hooks(reference, o.file, policy, session, call);
    const std::string where = publish_image(*table, request, o.file, &call);
    log::info("Pushed " + o.file + " to " + (where.empty() ? reference : where));
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.word("FILE", o->file, "The image file").required();
    arguments.word("URI", o->uri, "Where to: SCHEME://...").required();
    arguments.examples({"singularity push lolcow.sif SCHEME://HOST/USER/lolcow:1.0"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb push_verb{"push", "Make images", "Push an image file to where others can pull it", {}, true, declare};

}  // namespace sg
