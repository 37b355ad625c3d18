#include "build/recipe_base.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/base_signers.hpp"
#include "build/cached_image.hpp"
#include "build/id_maps.hpp"
#include "build/identity.hpp"
#include "image/arch.hpp"
#include "lookup/source_request.hpp"
#include "lookup/source_uri.hpp"
#include "metadata/inspect.hpp"
#include "runtime/image_policy.hpp"
#include "store/output.hpp"
#include "store/owner.hpp"
#include "store/sha256.hpp"

namespace sg {

using definition::Stage;
using definition::Text;

namespace {

constexpr std::string_view mark = "singularity-build-";  // then the owner, '-', and six characters

bool is_left_over(const std::string& name, const std::string& path) {
    const auto end = name.rfind('-');
    if (name.compare(0, mark.size(), mark) != 0 || end < mark.size() || name.size() != end + 7) return false;
    const auto owner = Owner::parse(std::string_view(name).substr(mark.size(), end - mark.size()));
    if (!owner || !owner->same_host()) return false;
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st;
    if (!fd || fstat(fd.get(), &st) != 0 || st.st_uid != geteuid()) return false;
    const Owner::State state = owner->state();
    return state == Owner::State::dead || (state == Owner::State::unknown && flock(fd.get(), LOCK_EX | LOCK_NB) == 0);
}

void remove_left_over(const std::string& path) {
    try {
        return remove_tree(path);
    } catch (const Error& e) {
        log::verbose(e.message());
    }
    // Files of subordinate ids can be removed where those are mapped.
    run_as_build_root([&] {
        try {
            remove_tree(path);
        } catch (const Error& e) {
            if (e.code() != Code::permission) throw;
            throw Error(
                e.code(),
                e.message() +
                    " (left by a build that was killed, and of an id that cannot be mapped here: root can remove " +
                    path + ")");
        }
    });
}

void remove_leftovers(const std::string& parent) {
    DIR* d = opendir(parent.c_str());
    if (!d) return;
    std::vector<std::string> names;
    while (const dirent* e = readdir(d))
        if (is_left_over(e->d_name, parent + "/" + e->d_name)) names.emplace_back(e->d_name);
    closedir(d);
    for (const auto& name : names) {
        log::verbose("removing " + parent + "/" + name + ", left by a build that was killed");
        remove_left_over(parent + "/" + name);
    }
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(const std::string& parent) : path_(parent + "/" + std::string(mark) + Owner::self().short_text() + "-XXXXXX") {
    remove_leftovers(parent);
    if (!mkdtemp(path_.data())) throw_errno("cannot write to", parent);
    lock_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (lock_) (void)flock(lock_.get(), LOCK_EX | LOCK_NB);  // some file systems have none
}

TemporaryDirectory::~TemporaryDirectory() {
    try {
        remove_tree(path_);
    } catch (const Error& e) {
        log::warning(e.message());
    }
}

namespace {

// What a policy says of a header, with the line of the header.
template <class F>
void permit_at(const Text& text, const Stage& stage, F&& permit) {
    try {
        permit();
    } catch (const Error& e) {
        if (e.code() != Code::veto) throw;
        throw Error(e.code(), text.error(stage.key("bootstrap")->value_at, e.message()).message(), e.hint());
    }
}

SourceRequest request_of(const Stage& stage, const BaseWish& wish) {
    SourceRequest r;
    r.scheme = definition::lower(stage.value("bootstrap"));
    r.reference = stage.value("from");
    r.directory = wish.directory;
    wish_for(r, wish.arch);
    r.options = wish.options;
    for (const definition::Key& key : stage.header)
        if (key.name != "bootstrap" && key.name != "from" && key.name != "stage") r.options.emplace_back(key.name, key.value);
    return r;
}

}  // namespace

SourceRequest header_request(PluginHost& plugins, const Text& text, const Stage& stage, const BaseWish& wish) {
    SourceRequest r = request_of(stage, wish);
    if (!plugins.index().find(CapabilityKind::bootstrap, r.scheme)) {
        const Error unknown = plugins.unknown_scheme(r.scheme);
        const Error placed = text.error(stage.key("bootstrap")->value_at, unknown.message(), unknown.hint());
        throw Error(unknown.code(), placed.message(), placed.hint());
    }
    permit_at(text, stage, [&] { permit(plugins, r); });
    return r;
}

void permit_bases(PluginHost& plugins, const definition::Definition& definition, const BaseWish& wish,
                  bool update, const sg_call* call) {
    for (const Stage& stage : definition.stages) {
        if (!stage.key("bootstrap") || (update && &stage == &definition.last())) continue;
        const SourceRequest r = request_of(stage, wish);
        const auto source = plugins.index().find(CapabilityKind::bootstrap, r.scheme);
        permit_at(definition.source, stage, [&] {
            permit(plugins, r);
            if (!source || !source->plain_paths || r.reference.empty()) return;
            // Here too, as the result of an earlier build may take the place of the image.
            const std::string path = r.reference[0] == '/' ? r.reference : r.directory + "/" + r.reference;
            if (access(path.c_str(), F_OK) == 0) runtime::permit_image(plugins, {path}, call);
        });
    }
}

namespace {

// The config of the image that a SIF was converted from, as far as it is kept there.
std::optional<ImageConfig> recorded_config(OpenedImage& image, const sg_call* call) {
    const auto part = read_part(image, "json", "oci-config.json", call);
    if (!part) return std::nullopt;
    return parse_image_config("{\"config\":" + *part + "}", image.path());
}

void take_image(RecipeBase& base, PluginHost& plugins, const BaseSigners& signers, OpenedImage image, const sg_call* call) {
    const sg_image_info info = image.info();
    signers.check(plugins, image.path(), call);
    if (!info.runnable) throw Error(Code::unsupported, image.path() + " has no root file system");
    base.arch = *info.arch ? info.arch : base.request.arch;
    base.image = std::make_unique<OpenedImage>(std::move(image));
    if (base.is_new) base.config = recorded_config(*base.image, call);
    else base.kept_config = read_part(*base.image, "json", "oci-config.json", call).value_or("");
    if (!base.identity.empty()) return;
    base.identity = identity_of(base.image->path());
}

// An image of the cache: one that was converted says what it was made of; others are somebody's own.
void take_kept(RecipeBase& base, PluginHost& plugins, const BaseSigners& signers, const std::string& path, const sg_call* call) {
    OpenedImage image = plugins.open_image(path);
    base.is_new = recorded_config(image, call).has_value();
    take_image(base, plugins, signers, std::move(image), call);
}

}  // namespace

RecipeBase open_base(PluginHost& plugins, const Text& text, const Stage& stage, const BaseWish& wish, const sg_call* call) {
    RecipeBase base;
    base.request = header_request(plugins, text, stage, wish);
    const BaseSigners signers(text, stage);
    const sg_bootstrap_v1& source = plugins.bootstrap(base.request.scheme);
    const bool remote = plugins.index().find(CapabilityKind::bootstrap, base.request.scheme)->remote;
    // What comes over a network is kept in the cache, as for `run`.
    const auto take_cached = [&] {
        if (wish.at_hand) {
            const auto cached = find_cached(plugins, base.request, call);
            if (cached) return take_kept(base, plugins, signers, *cached, call);
            base.absent = true;
            return;
        }
        const RunnableImage made = cached_image(plugins, base.request, base.request.scheme + ":" + base.request.reference, call);
        if (!made.converted)
            permit_at(text, stage, [&] { runtime::permit_image(plugins, {made.path, without_secret(base.request.scheme + ":" + base.request.reference), false}, call); });
        take_kept(base, plugins, signers, made.path, call);
        if (!made.temporary) return;  // else it lives as long as it is open
        unlink(made.path.c_str());
        rmdir(made.path.substr(0, made.path.rfind('/')).c_str());
    };
    if (remote) {
        take_cached();
        return base;
    }
    const std::string key = resolve_source(source, base.request, call).key;
    base.identity = key;
    if (const auto cached = find_cached(plugins, base.request, call)) {
        if (!wish.at_hand) log::info("Using cached image");
        take_kept(base, plugins, signers, *cached, call);
        return base;
    }
    base.source = std::make_unique<OpenedSource>(source, base.request, call);
    switch (base.source->kind()) {
        case SG_LAYERS:
            if (wish.as_image) {
                base.source.reset();
                take_cached();
                break;
            }
            signers.check_unsigned();
            if (!wish.at_hand) log::plain("Getting image source signatures");
            base.is_new = true;
            base.layers = base.source->layers({nullptr, false, wish.temporary, 1}, false);
            base.config = parse_image_config(base.layers->config);
            base.arch = base.config->architecture.empty() ? base.request.arch : base.config->architecture;
            if (base.identity.empty()) base.identity = sha256_hex(base.layers->manifest.empty() ? base.layers->config : base.layers->manifest);
            break;
        case SG_PATH:
            permit_at(text, stage, [&] { runtime::permit_image(plugins, {base.source->path()}, call); });
            take_image(base, plugins, signers, plugins.open_image(base.source->path()), call);
            break;
        case SG_BLOB: {
            if (wish.at_hand) {
                base.absent = true;
                break;
            }
            base.spool = std::make_unique<Spool>(wish.temporary);
            const auto stream = base.source->blob();
            base.spool->add(*stream);
            base.identity = key;
            const std::string fetched = "/proc/self/fd/" + std::to_string(base.spool->fd());
            permit_at(text, stage, [&] { runtime::permit_image(plugins, {fetched, without_secret(base.request.scheme + ":" + base.request.reference), false}, call); });
            take_image(base, plugins, signers, plugins.open_image(fetched), call);
            break;
        }
        case SG_RECIPE:
            signers.check_unsigned();
            base.recipe = true;
            base.arch = base.request.arch;
            base.identity = base.request.scheme + " " + base.request.reference;
            for (const auto& [name, value] : base.request.options) base.identity += "\n" + name + "=" + value;
            break;
        case SG_EMPTY:
            signers.check_unsigned();
            base.empty = true;
            base.arch = base.request.arch;
            base.identity = "empty";
            break;
    }
    return base;
}

}  // namespace sg
