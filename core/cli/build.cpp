// singularity build TARGET SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <memory>
#include <optional>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "build/convert.hpp"
#include "build/grammar.hpp"
#include "build/overwrite.hpp"
#include "build/recipe.hpp"
#include "cli/events.hpp"
#include "cli/gpu_options.hpp"
#include "cli/print.hpp"
#include "cli/verb.hpp"
#include "definition/checks.hpp"
#include "image/arch.hpp"
#include "lookup/cache_places.hpp"
#include "lookup/source_request.hpp"
#include "lookup/source_uri.hpp"

namespace sg {

namespace {

struct Options {
    std::string target, source, arch, arch_variant, argument_file;
    std::vector<std::string> arguments, sections, binds, mounts;
    GpuOptions gpus;
    bool as_root = false, user_namespace = false, writable_tests = false;  // builds always are so
    bool force = false, tolerant = false, fix_permissions = false, no_test = false, keep = false, update = false, no_cache = false, explain = false, encrypt = false;
};

bool registered_scheme(std::string_view scheme, Session& session) {
    return session.plugins.index().find(CapabilityKind::bootstrap, scheme).has_value();
}

// The order is that of cp turned round, and so is often typed the wrong way.
void check_target(const std::string& target, Session& session) {
    if (target.empty()) throw Error(Code::usage, "the name of the target is empty");
    if (registered_scheme(split_uri(target).scheme, session))
        throw Error(Code::usage, "the target " + target + " is no file name", "The target comes first: singularity build TARGET SOURCE. A file of that name is ./" + target + ".");
}

// Nobody writes NUL bytes into a definition: this is rather an archive whose scheme was left away.
void refuse_what_is_no_text(const std::string& source) {
    char head[4096];
    const UniqueFd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    const ssize_t n = fd ? ::read(fd.get(), head, sizeof head) : 0;
    if (n > 0 && std::memchr(head, '\0', static_cast<size_t>(n)))
        throw Error(Code::invalid, source + " is neither an image nor a definition file",
                    "An archive or a layout is named with its scheme: SCHEME:" + source + " ('singularity help' lists the schemes).");
}

// A regular file that no format takes for an image is a definition.
bool is_definition(const std::string& source, Session& session) {
    const auto registered = [&](std::string_view s) { return registered_scheme(s, session); };
    struct stat st;
    if (!read_uri(source, registered).scheme.empty() || stat(source.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
    try {
        session.plugins.open_image(source);
        return false;
    } catch (const Error& e) {
        if (e.code() != Code::invalid) throw;
        refuse_what_is_no_text(source);
        return true;
    }
}

// Whether the image is to be encrypted: asked for, or a key given on the command line (as Singularity does).
bool encrypts(const Options& o, const Session& session, const FormatEntry& format) {
    const auto on_command_line = [&](const char* key) { return session.settings.origin(key).layer == Layer::command_line; };
    if (!o.encrypt && !on_command_line("encryption.pem_path") && !on_command_line("encryption.ask")) return false;
    if (format.directory || !format.parts) throw Error(Code::usage, "an image of the format " + format.name + " cannot be encrypted", "Leave the format's option away.");
    return true;
}

std::string present_directory() {
    char buffer[PATH_MAX];
    if (!getcwd(buffer, sizeof buffer)) throw_errno("cannot find the present directory", "");
    return buffer;
}

void warn_of(const definition::Definition& d, const definition::Arguments& arguments) {
    for (const auto& finding : definition::check(d, arguments)) {
        const std::string place = finding.at.line ? d.source.name + ":" + std::to_string(finding.at.line) + ": " : "";
        log::warning(place + finding.message + " [" + finding.rule + "]");
    }
}

// What scripts see of the host. SINGULARITY_BIND is not asked: it speaks of containers that run, and few bases have such places.
HostShare shared_with_scripts(const Options& o, Session& session) {
    runtime::LaunchOptions launch;
    for (const auto& text : o.binds)
        for (auto& b : runtime::parse_binds(text)) launch.binds.push_back(std::move(b));
    for (const auto& text : o.mounts)
        for (auto& b : runtime::parse_mounts(text)) launch.binds.push_back(std::move(b));
    for (auto& b : launch.binds) {
        if (b.of_image) throw Error(Code::usage, "bind " + b.source + ": builds show directories and files of this machine, not of images");
        const bool same = b.destination == b.source;
        if (b.source.empty() || b.source[0] != '/') b.source = present_directory() + "/" + b.source;
        if (same) b.destination = b.source;
    }
    if (o.gpus.asked()) o.gpus.settle_gpus(launch, session);
    return {std::move(launch.binds), std::move(launch.host_files), std::move(launch.file_environment)};
}

void from_definition(const Options& o, Session& session, const FormatEntry& format, const sg_call& call) {
    const definition::Arguments arguments = build_arguments(o.arguments, o.argument_file, o.tolerant);
    const definition::Definition d = definition::parse(definition::read_text(o.source), definition_grammar(session.plugins.index()), arguments);
    RecipeOptions how;
    how.convert = convert_options(session.settings);
    if (encrypts(o, session, format)) how.convert.format_options.emplace_back("encrypt", "true");
    how.directory = present_directory();
    how.arch = o.arch;
    how.source_options = session.plugin_options();
    how.share = shared_with_scripts(o, session);
    how.sections = ChosenSections::parse(o.sections);
    how.force = o.force;
    how.fix_permissions = o.fix_permissions;
    how.run_tests = !o.no_test;
    how.keep_on_failure = o.keep;
    how.update = o.update;
    how.emulate_stat = session.settings.boolean("build.emulate_stat");
    how.reuse_days = session.settings.integer("build.reuse_days");
    if (!o.no_cache && how.reuse_days > 0) how.reuse_root = cache_places(session.settings).own;
    how.prefix = session.installation.prefix;
    how.plugin_directory = session.installation.plugin_dir;
    if (o.update && !format.directory) throw Error(Code::usage, "--update changes a directory: add --sandbox");
    if (o.explain) return print(explain_definition(session.plugins, d, o.target, format, how, &call));
    if (!o.update) allow_overwrite(o.target, format.directory, o.force);
    warn_of(d, arguments);
    build_definition(session.plugins, d, o.target, format, how, &call);
}

// Singularity's words for what a source does not give.
Error in_the_guides_words(const Error& e) { return e.message().starts_with("conveyor failed to get") ? e.within("While performing build") : e; }

int run(const Options& o, Session& session) try {
    check_target(o.target, session);
    std::optional<EventProgress> events;
    if (session.json && !o.explain) events.emplace();
    const sg_call call{session.cancel, events ? static_cast<Progress*>(&*events) : &session.progress};
    const FormatEntry format =
        session.format.empty() ? session.plugins.default_format() : session.plugins.format(session.format);
    if (is_definition(o.source, session)) {
        from_definition(o, session, format, call);
        if (o.explain) return 0;
    } else {
        if (o.explain) throw Error(Code::usage, "--explain is for definition files, and " + o.source + " is none");
        if (!o.arguments.empty() || !o.argument_file.empty()) throw Error(Code::usage, "build arguments are for definition files, and " + o.source + " is none");
        const SourceRequest request = source_request(session.plugins, o.source, o.arch, session.plugin_options());
        allow_overwrite(o.target, format.directory, o.force);
        ConvertOptions how = convert_options(session.settings);
        if (encrypts(o, session, format)) how.format_options.emplace_back("encrypt", "true");
        convert(session.plugins, request, o.target, format, how, &call);
    }
    log::info("Build complete: " + o.target);
    if (events) events->done(o.target);
    return 0;
} catch (const Error& e) {
    throw in_the_guides_words(e);
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.word("TARGET", o->target, "The image to make").required();
    arguments.word("SOURCE", o->source, "A definition file, a URI, an image file or a directory").required();
    arguments.flag("-F,--force", o->force, "Replace TARGET without asking; labels of %labels replace those of the base").variable("FORCE");
    arguments.text("--arch", o->arch, "Architecture to choose from an image for several, as arm64 or arm/v7").variable("ARCH");
    arguments.text("--arch-variant", o->arch_variant, "Its variant, as 7; the same as --arch arm/v7")
        .variable("BUILD_ARCH_VARIANT");
    arguments.list("--build-arg", o->arguments, "A value for {{ NAME }} in the definition").shown_as("NAME=VALUE");
    arguments.text("--build-arg-file", o->argument_file, "Lines NAME=VALUE").shown_as("FILE");
    arguments.flag("--warn-unused-build-args", o->tolerant, "Only warn of build arguments that the definition does not use").variable("WARN_UNUSED_BUILD_ARGS");
    arguments.list("--section", o->sections, "Act on this section only (all, none, or a name); may be given again").shown_as("NAME").variable("SECTION");
    arguments.flag("--fix-perms", o->fix_permissions, "Let the owner read and write everything in the image").variable("FIXPERMS");
    arguments.flag("-T,--notest", o->no_test, "Do not run %test").variable("NOTEST");
    arguments.flag("-u,--update", o->update, "Run the sections in the directory TARGET that is there already").variable("UPDATE");
    arguments.flag("--no-cache", o->no_cache, "Run %post again, whatever an equal build made").variable("NO_CACHE");
    arguments.flag("--explain", o->explain, "Tell what would be reused and what would run, and why; make nothing");
    arguments.flag("--keep-on-failure,--no-cleanup", o->keep, "Keep what was made when %setup or %post fails").variable("KEEP_ON_FAILURE");
    arguments.list("-B,--bind", o->binds, "SRC[:DEST[:ro|rw]] of the host for %post and %test; DEST must be in the image").shown_as("SPEC");
    arguments.list("--mount", o->mounts, "The same as type=bind,source=SRC,destination=DEST[,readonly]").shown_as("SPEC");
    o->gpus.declare_gpus(arguments);
    arguments.flag("-f,--fakeroot", o->as_root, "For scripts that call others: builds of ordinary users are always as root's").variable("FAKEROOT");
    arguments.flag("--userns", o->user_namespace, "").variable("USERNS,UNSHARE_USERNS").hidden();
    arguments.flag("--writable-tmpfs", o->writable_tests, "").variable("WRITABLE_TMPFS").hidden();
    arguments.flag("-e,--encrypt", o->encrypt, "Encrypt the image, with a passphrase or for an RSA key").variable("ENCRYPT");
    arguments
        .add(Argument::Kind::flag, "--emulate-stat", nullptr,
             "Tell %setup and %post of an ordinary user the owners that the image will have, as for cp -a; slower")
        .sets_key("build.emulate_stat");
    arguments.add(Argument::Kind::text, "--pem-path", nullptr, "RSA public key (PEM) to encrypt for").shown_as("FILE").sets_key("encryption.pem_path");
    arguments.add(Argument::Kind::flag, "--passphrase", nullptr, "Ask for a passphrase to encrypt with").sets_key("encryption.ask");
    arguments.add(Argument::Kind::text, "--compress", nullptr, "zstd[:LEVEL], gzip[:LEVEL], lz4 or xz").sets_key("build.compress");
    arguments.add(Argument::Kind::integer, "--processors", nullptr, "Threads to use").sets_key("build.threads");
    arguments.add(Argument::Kind::text, "--tmpdir", nullptr, "Directory for what is written on the way; else TMPDIR").shown_as("DIRECTORY").sets_key("tmpdir");
    arguments.add(Argument::Kind::integer, "--jobs", nullptr, "Layers to fetch at the same time").sets_key("fetch.jobs");
    arguments.add(Argument::Kind::flag, "--disable-cache", nullptr, "Use no cache and keep nothing in it").sets_key("cache.disable");
    arguments.examples({"singularity build lolcow.sif lolcow.def", "singularity build lolcow.sif docker-archive://lolcow.tar", "singularity build --sandbox lolcow_dir lolcow.sif"});
    return [o](Session& session) {
        o->arch = arch_with_variant(o->arch, o->arch_variant);
        return run(*o, session);
    };
}

}  // namespace

extern const Verb build_verb{"build", "Make images", "Build an image from a definition file, a URI, an image or a directory", {}, true, declare};

}  // namespace sg
