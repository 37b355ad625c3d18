#include "build/recipe.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/seccomp_notification.hpp"
#include "build/announce_file.hpp"
#include "build/changes_cache.hpp"
#include "build/files_copy.hpp"
#include "build/identity.hpp"
#include "build/host_script.hpp"
#include "build/recipe_base.hpp"
#include "build/session.hpp"
#include "build/space.hpp"
#include "build/stage_files.hpp"
#include "build/stage_keys.hpp"
#include "build/stage_results.hpp"
#include "build/target.hpp"
#include "build/test_run.hpp"
#include "image/arch.hpp"
#include "rootfs/copy.hpp"
#include "runtime/image_policy.hpp"
#include "store/sha256.hpp"

namespace sg {

using definition::Definition;
using definition::Stage;

namespace {

class Recipe {
public:
    Recipe(PluginHost& plugins, const Definition& definition, const std::string& target, const FormatEntry& format,
           const RecipeOptions& options, const sg_call* call)
        : plugins_(plugins), definition_(definition), target_(target), format_(format), options_(options), call_(call), files_(definition, options_.sections, options_.directory, call) {}

    void run() {
        log::info("Starting build...");
        // All of them before anything is run or fetched for the first.
        permit_bases(plugins_, definition_, wish_of(false), options_.update, call_);
        plugins_.notify({"before_build", definition_.source.name.c_str(), "", target_.c_str(), nullptr, 0});
        TemporaryDirectory place(options_.convert.temporary);
        const Pairs of_target = std::exchange(options_.convert.format_options, {});
        for (const Stage& stage : definition_.stages) {
            const bool last = &stage == &definition_.last();
            if (last) options_.convert.format_options = of_target;
            if (definition_.stages.size() > 1) log::info("Building " + stage_name(definition_, stage));
            if (last)
                make(stage, prepared(stage), target_, format_);
            else if (!stage.name.empty())
                files_.finished(stage.name, finished(stage, place.path() + "/" + std::to_string(&stage - definition_.stages.data()) + ".image"));
        }
        announce_built(plugins_, definition_.source.name, "", target_, call_);
    }

private:
    struct Prepared {
        std::optional<definition::Section> post;
        bool setup = false, metadata = false;
        RecipeBase base;
    };

    StageContext context(const Stage& stage) const { return {definition_, stage, options_, files_}; }
    bool updates(const Stage& stage) const { return sg::updates(options_, definition_, stage); }
    bool runs(const Stage& stage, const char* name) const { return sg::runs(stage, options_.sections, name); }

    Prepared prepared(const Stage& stage) {
        if (runs(stage, "pre")) run_pre(stage);
        Prepared out;
        out.post = post_script(stage, options_.sections);
        out.setup = runs(stage, "setup");
        out.metadata = brings_metadata(stage, options_.sections);
        out.base = updates(stage) ? update_base() : open_base(plugins_, definition_.source, stage, wish_of(out.post || out.setup || out.metadata), call_);
        return out;
    }

    // A stage that others take files from: of the cache, or made, in the cache where it can be kept.
    OpenedImage finished(const Stage& stage, const std::string& place) {
        Prepared of = prepared(stage);
        const auto inputs = inputs_of_stage(context(stage), of.base, of.post);
        const StageResults kept(inputs ? options_.reuse_root : "", origin_of(context(stage)), options_.reuse_days);
        if (const auto found = inputs ? kept.find(stage_result, *inputs) : std::nullopt) {
            log::info("Reusing " + stage_name(definition_, stage) + " of " + shown_age(found->age) + " ago (--no-cache builds it again)");
            return plugins_.open_image(found->path);
        }
        std::string path = place;
        if (kept.enabled()) try {
                path = kept.place(stage_result, *inputs);
            } catch (const Error& e) {
                log::verbose("the stage is not kept: " + e.message());
            }
        try {
            make(stage, std::move(of), path, plugins_.default_format());
        } catch (const Error& e) {
            // A full cache stops no build: once more, to where temporary files lie.
            if (path == place || e.code() != Code::no_space || e.message().find(path) == std::string::npos) throw;
            log::warning("the stage is not kept: " + e.message());
            path = place;
            make(stage, prepared(stage), path, plugins_.default_format());
        }
        if (path != place) kept.stored(path, *inputs);
        return plugins_.open_image(path);
    }

    void make(const Stage& stage, Prepared of, const std::string& path, const FormatEntry& format) {
        BuildFacts facts = facts_of(stage, of.base, of.post.has_value());
        if (of.base.image && !updates(stage)) expect_space_for_image(path, format, *of.base.image, of.base.image->root());
        if (of.base.layers) expect_space_for_image(path, format, of.base.layers->inputs);
        Target target(path, format.directory);
        Segments segments(options_.convert.segments);
        if (of.post || of.setup || of.metadata || of.base.recipe)
            write_with_scripts(stage, of.base, facts, of.post, target, format);
        else
            write(stage, of.base, facts, target, format, segments);
        if (call_) call_->cancel.poll();
        if (facts.sections->test && options_.run_tests) run_test(stage, target);
        target.commit();
        segments.keep(path);
    }

    BaseWish wish_of(bool as_image) const { return {options_.directory, options_.arch, options_.convert.temporary, options_.source_options, as_image}; }

    // --update: the directory that is there, with the sections on top.
    RecipeBase update_base() {
        RecipeBase base;
        runtime::permit_image(plugins_, {target_}, call_);
        base.image = std::make_unique<OpenedImage>(plugins_.open_image(target_));
        base.arch = base.image->info().arch;
        if (base.arch.empty()) base.arch = options_.arch.empty() ? host_arch() : options_.arch;
        base.identity = "update " + target_;
        return base;
    }

    // On the host, before the base is fetched.
    void run_pre(const Stage& stage) {
        log::info("Running pre scriptlet");
        const definition::Section& pre = *stage.section("pre");
        TemporaryDirectory place(options_.convert.temporary);
        run_host_script(definition_.source, pre, place.path() + "/pre.script", options_.directory, call_);
    }

    BuildFacts facts_of(const Stage& stage, const RecipeBase& base, bool runs_post) const {
        BuildFacts facts;
        for (const definition::Key& key : stage.header) facts.header.emplace_back(key.name, key.value);
        facts.config = base.config;
        facts.kept_config = base.kept_config;
        facts.arch = base.arch;
        facts.time = result_time(base.layers ? base.config->created : "");
        // Commands that ran today make an image of today.
        if (runs_post && !facts.time) facts.time = std::time(nullptr);
        facts.version = options_.convert.version;
        facts.deffile = &stage == &definition_.last() ? definition_.text() : stage.text;
        facts.sections = image_sections(stage, options_.sections);
        facts.sections->force_labels = options_.force;
        facts.command_runs = !stage.value("includecmd").empty();
        facts.base_is_new = base.is_new;
        return facts;
    }

    void write(const Stage& stage, RecipeBase& base, const BuildFacts& facts, Target& target, const FormatEntry& format, Segments& segments) {
        std::optional<singularity::ForeignRoot> root;
        if (base.image) root = base.image->root();
        const Metadata metadata = root ? Metadata::for_base(facts, read_base_metadata(*root)) : Metadata::for_image(facts);
        const std::string identity = base.identity + "\n" + sha256_hex(facts.deffile);
        ImageWriter writer = open_writer(format, options_.convert, target, {identity, facts.arch, facts.time}, call_);
        writer.use_layers(layers_of(plugins_, format));
        add_parts(metadata, format, writer);
        Tree tree;
        if (base.layers) {
            segments.prepare(base.layers->inputs, writer);
            MergeOptions merge;
            merge.threads = options_.convert.threads;
            tree = merge_layers(base.layers->inputs, writer, options_.convert.limits, merge, call_);
        } else if (root) {
            tree = copy_root(*root, writer, options_.convert.limits, call_);
        }
        add_files(stage, tree, writer, facts.time);
        if (options_.fix_permissions) fix_permissions(tree);
        say_creating(format);
        metadata.apply(tree, writer, call_);
        writer.finish(tree);
        segments.check_images();
    }

    void write_with_scripts(const Stage& stage, RecipeBase& base, BuildFacts& facts, const std::optional<definition::Section>& post, Target& target,
                            const FormatEntry& format) {
        TemporaryDirectory work(options_.convert.temporary);
        SessionPlan plan{plugins_,
                         definition_.source,
                         stage,
                         base,
                         options_.prefix,
                         options_.plugin_directory,
                         options_.directory,
                         work.path(),
                         {},
                         post,
                         facts.sections->apps,
                         options_.share,
                         options_.emulate_stat,
                         {},
                         {}};
        if (runs(stage, "setup")) plan.setup = *stage.section("setup");
        const bool latest = std::getenv("SOURCE_DATE_EPOCH") != nullptr;
        const std::optional<int64_t> clamp = latest ? facts.time : std::nullopt;
        plan.files_of_stages = [&](FilesTarget& to) { files_.of_stages(stage, to, std::nullopt); };
        plan.files_of_host = [&](FilesTarget& to) { files_.of_host(stage, to, std::nullopt); };
        const auto inputs = inputs_of_changes(context(stage), base, post);
        const StageResults results_kept(inputs ? options_.reuse_root : "", origin_of(context(stage)), options_.reuse_days);
        ChangesCache cache(results_kept, inputs.value_or(StageInputs()));
        ScriptResults results;
        std::unique_ptr<BuildSession> session;
        std::unique_ptr<singularity::Stream> tar;
        auto kept = cache.find();
        // What could not be recorded then may be recorded now.
        if (kept && kept->results.owners_unknown && no_seccomp_notification().empty()) kept.reset();
        if (kept) {
            log::info("Reusing " + shown_changes(base, post) + " of " + shown_age(kept->age) + " ago (--no-cache runs it again)");
            results = std::move(kept->results);
            tar = std::move(kept->tar);
        } else {
            session = std::make_unique<BuildSession>(std::move(plan), call_);
            try {
                results = session->run();
            } catch (const Error& e) {
                if (!options_.keep_on_failure || e.code() != Code::invalid) throw;
                throw kept_tree(*session, base, facts, e);
            }
            tar = cache.keeping(session->changes(), results);
        }
        facts.sections->post_labels = results.labels;
        facts.sections->post_environment = results.environment;
        if (results.owners_unknown && post)
            log::warning(no_owners_text(results));
        const Metadata metadata = Metadata::for_base(facts, BaseMetadata::unpacked(results.metadata));
        const std::string identity = base.identity + "\n" + sha256_hex(facts.deffile);
        ImageWriter writer = open_writer(format, options_.convert, target, {identity, facts.arch, facts.time}, call_);
        add_parts(metadata, format, writer);
        Tree tree = changed_tree(*tar, base, writer, clamp, results);
        if (session) session->end();
        cache.keep();
        if (options_.fix_permissions) fix_permissions(tree);
        say_creating(format);
        metadata.apply(tree, writer, call_);
        writer.finish(tree);
    }

    static std::string shown_changes(const RecipeBase& base, const std::optional<definition::Section>& post) {
        return base.recipe ? post ? "the base and %post" : "the base" : "%post";
    }

    static std::string no_owners_text(const ScriptResults& results) {
        return "every file that %post made belongs to root in the image, and programs that change owners may have failed: this user has no subordinate ids "
               "(an administrator gives them: singularity config fakeroot --add USER)" +
               (results.owners_missing.empty() ? std::string() : ", and " + results.owners_missing);
    }

    Tree changed_tree(singularity::Stream& tar, RecipeBase& base, ImageWriter& writer, std::optional<int64_t> clamp, const ScriptResults& results) {
        UpperTree upper = read_upper(tar, writer, options_.convert.limits, {clamp, results.owners_unknown}, call_);
        if (!base.image || results.unpacked) return std::move(upper.tree);
        return copy_root(base.image->root(), writer, options_.convert.limits, std::move(upper), call_);
    }

    // What a failed build made so far, as a directory; the error that tells of it.
    Error kept_tree(BuildSession& session, RecipeBase& base, const BuildFacts& facts, const Error& e) {
        std::string place = options_.convert.temporary + "/singularity-failed-XXXXXX";
        if (!mkdtemp(place.data())) return e;
        FormatEntry directory;
        for (const auto& c : plugins_.index().capabilities(CapabilityKind::format))
            if (c.directory) directory = plugins_.format(c.name);
        if (!directory.table) return e;
        try {
            Target target(place + "/rootfs", true);
            ImageWriter writer = open_writer(directory, options_.convert, target, {"kept", facts.arch, facts.time}, call_);
            const auto tar = session.changes();
            Tree tree = changed_tree(*tar, base, writer, std::nullopt, session.results());
            (base.image ? Metadata::for_base(facts, read_base_metadata(base.image->root())) : Metadata::for_image(facts)).apply(tree, writer, call_);
            writer.finish(tree);
            target.commit();
        } catch (const Error& why) {
            log::warning("the tree cannot be kept: " + why.message());
            return e;
        }
        return Error(e.code(), e.message(), e.hint() + "\n         The tree is kept: singularity shell --writable --no-home " + place + "/rootfs");
    }

    // In the finished image, before anybody sees it.
    void run_test(const Stage& stage, const Target& target) {
        log::info("Running testscript");
        const std::string path = target.fd() >= 0 ? "/proc/self/fd/" + std::to_string(target.fd()) : target.path();
        TemporaryDirectory work(options_.convert.temporary);
        const int status = run_test_of(plugins_, path, options_.prefix, options_.plugin_directory, work.path(), options_.share, call_);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        const std::string how = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status)) : "failed with status " + std::to_string(WEXITSTATUS(status));
        throw definition_.source.error(stage.section("test")->at, "%test " + how + ", so no image is made", "--notest builds it without the test.");
    }

    void add_files(const Stage& stage, Tree& tree, ImageWriter& writer, std::optional<int64_t> time) {
        const auto to = tree_target(tree, writer);
        for (const definition::App& app : stage.apps)
            for (const std::string& directory : app_directories(app.name)) to->directory("/" + directory, 0755, time.value_or(0));
        files_.of_stages(stage, *to, time);
        files_.of_host(stage, *to, time);
    }

    // The owner may read and write everything, so that the image can be removed and copied.
    static void fix_permissions(Tree& tree) {
        for (Tree::Node n = 0; n < tree.node_count(); ++n) {
            if (!tree.present(n)) continue;
            Tree::Inode& inode = tree.inode(tree.file(n));
            if (S_ISDIR(inode.mode)) inode.mode |= S_IRWXU;
            if (S_ISREG(inode.mode)) inode.mode |= S_IRUSR | S_IWUSR;
        }
    }

    PluginHost& plugins_;
    const Definition& definition_;
    const std::string& target_;
    const FormatEntry& format_;
    RecipeOptions options_;
    const sg_call* call_;
    StageFiles files_;
};

}  // namespace

void build_definition(PluginHost& plugins, const Definition& definition, const std::string& target, const FormatEntry& format,
                      const RecipeOptions& options, const sg_call* call) {
    Recipe(plugins, definition, target, format, options, call).run();
}

}  // namespace sg
