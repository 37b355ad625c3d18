// The builder: takes builds in, starts them where the executor has room, and puts what comes of them into the library.
#pragma once
#include <atomic>
#include <condition_variable>
#include <set>
#include <thread>

#include "hub/builder/builds.hpp"
#include "hub/builder/contexts.hpp"
#include "hub/builder/executor.hpp"
#include "hub/builder/job.hpp"
#include "hub/library/library.hpp"

namespace hub {

struct BuildRequest {
    std::string definition, directory, context;  // `context`: its digest or ""
    std::string reference;                       // as the client wrote it; "" = a temporary one
    std::string base;
};

// One thread does all that takes long; the other functions may be called by any.
class Builder {
public:
    static constexpr int64_t results_kept = 24 * 3600, builds_kept = 30 * 24 * 3600;  // seconds

    // What ran on this machine when an earlier hub ended is marked as failed, and what that hub left of builds that are
    // done, or that nobody was told of, is removed.
    Builder(Service& service, BuilderOptions options);
    // Local builds are ended.
    ~Builder();
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    // Throws HttpError: 400 for what cannot be built, 403 where the user may not write.
    Build submit(const Identity& who, const BuildRequest& request);
    void cancel(const std::string& id);
    Builds& builds() { return builds_; }
    Contexts& contexts() { return contexts_; }
    std::string log_file(const std::string& id) const { return JobDirectory(options_, id).log(); }
    const BuilderOptions& options() const { return options_; }

private:
    void work();
    void tidy(const std::string& id);
    void settle();
    void turn();
    void start(const Build& build);
    void look_after(const Build& build);
    void store(const Build& build, const JobDirectory& job);
    void fail(const Build& build, const std::string& why, bool cancelled = false);
    void sweep();

    Service& service_;
    BuilderOptions options_;
    Library library_;
    Builds builds_;
    Contexts contexts_;
    std::unique_ptr<Executor> executor_;
    std::mutex mutex_;
    std::condition_variable news_;
    bool stopping_ = false, woken_ = false;
    // Of the thread: directories of an earlier hub, and builds that waited when it ended.
    std::vector<std::string> found_;
    std::set<std::string> waited_;
    std::thread thread_;
};

// `REF` of "library://REF", "library:REF" or plain, with the entity of `user` where it names none.
// Throws HttpError 400. The reference's tag is the first of `tags`.
ImageReference build_reference(const std::string& text, const std::string& user, std::vector<std::string>& tags);

}  // namespace hub
