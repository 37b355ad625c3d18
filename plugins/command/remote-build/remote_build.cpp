// `build --remote`: a build on somebody else's machine, watched from here.
#include <poll.h>
#include <sys/utsname.h>

#include <cstdio>
#include <optional>
#include <remotes/active.hpp>
#include <singularity/command.hpp>

#include "remote-build/builder.hpp"
#include "remote-build/context.hpp"
#include "remote-build/library_ref.hpp"
#include "remote-build/log_text.hpp"
#include "remote-build/options.hpp"
#include "remote-build/result.hpp"
#include "remote-build/source.hpp"

namespace remote_build {

namespace {

constexpr int max_log_tries = 5;  // in a row, without a byte more

std::string machine() {
    struct utsname u {};
    uname(&u);
    return u.machine;
}

// Sleeps, but not through the end of the command.
void pause(const Host& host, int milliseconds) {
    pollfd end{host.cancel_fd(), POLLIN, 0};
    ::poll(&end, end.fd >= 0 ? 1 : 0, milliseconds);
    host.poll();
}

// The log on standard output. A builder keeps the log and sends it from its start to each viewer, so what was shown before
// a connection broke is passed over.
void follow_log(const Builder& builder, const std::string& id, const Host& host) {
    LogText filter;
    uint64_t shown = 0;
    for (int tries = 0;;) {
        uint64_t come = 0;
        const uint64_t before = shown;
        try {
            builder.log(
                id,
                [&](std::string_view piece) {
                    const uint64_t known = come < shown ? std::min<uint64_t>(piece.size(), shown - come) : 0;
                    come += piece.size();
                    const std::string text = filter.filtered(piece.substr(static_cast<size_t>(known)));
                    shown = std::max(shown, come);
                    std::fwrite(text.data(), 1, text.size(), stdout);
                    std::fflush(stdout);
                },
                host);
            return;
        } catch (const Error& e) {
            if (e.code() != Code::network && e.code() != Code::timeout) throw;
            tries = shown > before ? 1 : tries + 1;
            if (tries == max_log_tries) throw;
            host.warn(e.message() + ": connecting again");
            pause(host, 250 << tries);
        }
    }
}

std::string pull_command(const LibraryRef& ref, const std::string& library) { return "singularity pull --library " + library + " " + ref.text(); }

class RemoteBuild {
public:
    RemoteBuild(Options options, const singularity::Invocation& invocation, const Host& host)
        : o_(std::move(options)), invocation_(invocation), host_(host) {}

    int run() {
        std::optional<LibraryRef> wanted;
        if (is_library(o_.target)) {
            wanted = parse_library_ref(o_.target);
            if (wanted->entity.empty()) throw Error(Code::usage, o_.target + " names no entity and collection", "The form is: library://ENTITY/COLLECTION/NAME[:TAG]");
            if (!wanted->host.empty() && o_.library.empty()) o_.library = wanted->host;
        } else if (!o_.detached) {
            check_target(o_.target, o_.force);
        }
        for (const auto& option : o_.left_out) host_.warn(option + " is not sent to the builder: it sees what everybody sees");
        const Source source = read_source(o_.source, invocation_.options);
        // Nobody is asked before all that is wrong here was told.
        builder_.emplace(remotes::active_service("builder", o_.builder, host_));
        BuildRequest request;
        request.definition = source.definition;
        request.arch = o_.arch;
        request.directory = invocation_.directory;
        request.library_url = remotes::active_service("library", o_.library, host_).base();
        if (wanted) request.library_ref = wanted->text();
        if (!source.files.empty()) {
            const Context context = pack_context(source.files, invocation_.directory, host_);
            builder_->upload(context, host_);
            request.context_digest = context.digest();
        }
        const BuildInfo submitted = submit(request);
        host_.log(SG_VERBOSE, "build " + submitted.id + " on the builder at " + builder_->url());
        if (o_.detached) return tell(submitted, request);
        const BuildInfo built = watch(submitted, request);
        const LibraryRef ref = parse_library_ref(built.library_ref);
        const std::string library = built.library_url.empty() ? request.library_url : built.library_url;
        if (wanted) {
            host_.info("Build complete: " + ref.text());
            return 0;
        }
        fetch_result(remotes::active_service("library", library, host_), ref, built, o_.arch, o_.target, o_.force, host_);
        host_.info("Build complete: " + o_.target);
        return 0;
    }

private:
    BuildInfo submit(const BuildRequest& request) {
        try {
            return builder_->submit(request, host_);
        } catch (const Error&) {
            forget_files(request);
            throw;
        }
    }

    int tell(const BuildInfo& info, const BuildRequest& request) const {
        const LibraryRef ref = parse_library_ref(info.library_ref);
        std::printf("Build submitted! Once it is complete, the image can be retrieved by running:\n\t%s\n",
                    pull_command(ref, info.library_url.empty() ? request.library_url : info.library_url).c_str());
        if (!info.page.empty()) std::printf("Its log and its state are shown at:\n\t%s\n", info.page.c_str());
        std::fflush(stdout);
        return 0;
    }

    // Until the build has ended: its log, and then what came of it.
    BuildInfo watch(const BuildInfo& submitted, const BuildRequest& request) {
        try {
            follow_log(*builder_, submitted.id, host_);
            BuildInfo built = builder_->status(submitted.id, host_);
            forget_files(request);
            if (!built.complete || built.size == 0)
                throw Error(Code::invalid, "the build of " + o_.source + " failed on the builder at " + builder_->url() + " (build " + built.id + ")" + (built.message.empty() ? "" : ": " + built.message),
                            "Its log above says why.");
            return built;
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) {
                cancel(submitted.id);
                forget_files(request);
                throw Error(Code::cancelled, "interrupted: build " + submitted.id + " was cancelled on the builder");
            }
            if (e.code() == Code::invalid) throw;
            throw Error(e.code(), e.message(),
                        "Build " + submitted.id + " may go on" +
                            (submitted.page.empty() ? "" : " (" + submitted.page + ")") +
                            ". When it is complete: " + pull_hint(submitted, request),
                        e.detail());
        }
    }

    std::string pull_hint(const BuildInfo& info, const BuildRequest& request) const {
        try {
            return pull_command(parse_library_ref(info.library_ref), request.library_url);
        } catch (const Error&) {
            return "singularity pull --library " + request.library_url + " IMAGE";
        }
    }

    // The command is over for the host: these have no cancel of theirs, and their own short time-out.
    void cancel(const std::string& id) const {
        try {
            builder_->cancel(id, Host());
        } catch (const Error& e) {
            throw Error(Code::cancelled, "interrupted, but build " + id + " may go on: " + e.message());
        }
    }
    void forget_files(const BuildRequest& request) const {
        if (request.context_digest.empty()) return;
        try {
            builder_->remove_context(request.context_digest, Host());
        } catch (const Error& e) {
            host_.debug(e.message());
        }
    }

    Options o_;
    const singularity::Invocation& invocation_;
    const Host& host_;
    std::optional<Builder> builder_;
};

class Command final : public singularity::Command {
public:
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override {
        return RemoteBuild(parse_options(invocation, machine()), invocation, host).run();
    }
};

}  // namespace

}  // namespace remote_build

// The spelling is the name.
// clang-format off
SINGULARITY_PLUGIN(remote-build, remote_build::Command)
// clang-format on
