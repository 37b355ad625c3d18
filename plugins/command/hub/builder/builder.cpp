#include "hub/builder/builder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

void copy_file(int from, int to, uint64_t size) {
    for (uint64_t done = 0; done < size;) {
        const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr,
                                            static_cast<size_t>(std::min<uint64_t>(size - done, 64 << 20)), 0);
        if (n > 0) {
            done += static_cast<uint64_t>(n);
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT))
            throw Error(Code::no_space, "the hub's disk has no room for the image");
        char buffer[64 << 10];  // between file systems
        const ssize_t r = ::read(from, buffer, sizeof buffer);
        if (r <= 0) throw Error(Code::io, "the image that was built cannot be read");
        for (ssize_t k = 0; k < r;) {
            const ssize_t w = ::write(to, buffer + k, static_cast<size_t>(r - k));
            if (w < 0 && errno == EINTR) continue;
            if (w < 0)
                throw Error(errno == ENOSPC || errno == EDQUOT ? Code::no_space : Code::io,
                            std::string("cannot keep the image that was built: ") + std::strerror(errno));
            k += w;
        }
        done += static_cast<uint64_t>(r);
    }
}

bool is_build_id(const std::string& name) {
    return name.size() == 24 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<std::string> split(const std::string& text, char by) {
    std::vector<std::string> out(1);
    for (const char c : text)
        if (c == by)
            out.emplace_back();
        else
            out.back() += c;
    return out;
}

}  // namespace

ImageReference build_reference(const std::string& text, const std::string& user, std::vector<std::string>& tags) {
    std::string path = text;
    if (path.starts_with("library:")) path.erase(0, 8);
    const bool slashes = path.starts_with("//");
    path.erase(0, path.find_first_not_of('/'));
    tags = {"latest"};
    // A host may have a port, tags stand behind the last '/'.
    if (const size_t colon = path.find(':', path.rfind('/') + 1); colon != std::string::npos) {
        tags = split(path.substr(colon + 1), ',');
        path.erase(colon);
    }
    auto parts = split(path, '/');
    // library://HOST/ENTITY/COLLECTION/NAME: the host is this hub, whatever it is called.
    if (slashes && (parts.size() == 4 || parts.size() == 2)) parts.erase(parts.begin());
    if (parts.size() == 1) parts.insert(parts.begin(), {user, "default"});
    if (parts.size() == 2) parts.insert(parts.begin() + 1, "default");
    ImageReference r{parts[0], parts.size() > 1 ? parts[1] : "", parts.size() > 2 ? parts[2] : "", tags[0]};
    bool good = parts.size() == 3 && valid_name(r.entity) && valid_name(r.collection) && valid_name(r.container);
    for (const auto& tag : tags) good = good && valid_tag(tag) && !valid_hash(tag);
    if (!good) throw HttpError{400, "an image is stored as library://ENTITY/COLLECTION/NAME:TAG, in small letters"};
    return r;
}

Builder::Builder(Service& service, BuilderOptions options)
    : service_(service),
      options_(std::move(options)),
      library_(service),
      builds_(service.database),
      contexts_(service, options_.disk),
      executor_(options_.kind == BuilderOptions::Kind::slurm ? slurm_executor(options_) : local_executor(options_)) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory, none))
        if (is_build_id(entry.path().filename())) found_.push_back(entry.path().filename());
    for (const auto& build : builds_.unfinished()) {
        if (build.run.empty()) {
            waited_.insert(build.id);
        } else if (!executor_->outlives_hub()) {
            executor_->cancel(build.run);
            fail(build, "the hub was ended while the build ran");
        }
    }
    thread_ = std::thread([this] { work(); });
}

Builder::~Builder() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
    }
    news_.notify_all();
    thread_.join();
}

Build Builder::submit(const Identity& who, const BuildRequest& request) {
    Build b;
    b.id = random_hex(12);
    b.user = who.user;
    b.definition = request.definition;
    b.directory = request.directory;
    b.base = request.base;
    if (request.reference.empty()) {
        b.temporary = true;
        b.reference = std::string(temporary_entity) + "/default/rb-" + b.id + ":latest";
    } else {
        std::vector<std::string> tags;
        const auto r = build_reference(request.reference, who.name, tags);
        Library::need_write(who, r.entity);
        b.reference = r.entity + "/" + r.collection + "/" + r.container + ":";
        for (size_t i = 0; i < tags.size(); ++i) b.reference += (i > 0 ? "," : "") + tags[i];
    }
    if (!b.directory.empty() &&
        (b.directory[0] != '/' || b.directory.size() > 4096 || b.directory.find('\0') != std::string::npos))
        throw HttpError{400, "workingDir is no absolute path"};
    if (!request.context.empty()) b.context = contexts_.find(who.user, request.context);
    JobDirectory job(options_, b.id);
    try {
        job.prepare({b.definition, b.directory, b.context.empty() ? "" : contexts_.file(b.context)});
        job.say("searching for available build agent.........");
        builds_.add(b);
    } catch (...) {
        job.remove();
        throw;
    }
    service_.accounts.audit(who.name, "build", b.id + " " + b.reference);
    {
        const std::scoped_lock lock(mutex_);
        woken_ = true;
    }
    news_.notify_all();
    return builds_.find(b.id).value();
}

void Builder::cancel(const std::string& id) {
    builds_.wish_cancel(id);
    {
        const std::scoped_lock lock(mutex_);
        woken_ = true;
    }
    news_.notify_all();
}

// Of what lies there from an earlier hub: a log is kept as long as its build is known, and nothing else is.
void Builder::tidy(const std::string& id) {
    const JobDirectory job(options_, id);
    const auto build = builds_.find(id);
    if (!build)
        job.remove();
    else if (build->done())
        job.clean();
}

void Builder::work() {
    int64_t next_sweep = 0;
    for (;;) {
        // What fails now, as on a full disk, is not tried again at once.
        auto pause = std::chrono::milliseconds(5000);
        try {
            turn();
            for (const auto& id : std::exchange(found_, {})) tidy(id);
            if (now() >= next_sweep) {
                next_sweep = now() + 3600;
                sweep();
            }
            pause = std::chrono::milliseconds(250);
        } catch (const Error& e) {
            std::cerr << "ERROR:   the builder: " << e.message() << "\n";
        } catch (const HttpError& e) {
            std::cerr << "ERROR:   the builder: " << e.message << "\n";
        } catch (const std::exception& e) {
            std::cerr << "ERROR:   the builder: " << e.what() << "\n";
        }
        std::unique_lock lock(mutex_);
        news_.wait_for(lock, pause, [&] { return stopping_ || woken_; });
        woken_ = false;
        if (stopping_) break;
    }
    if (executor_->outlives_hub()) return;
    try {
        for (const auto& build : builds_.unfinished()) {
            if (build.run.empty()) continue;
            executor_->cancel(build.run);
            fail(build, "the hub was ended while the build ran");
        }
    } catch (...) {  // the next start does it
    }
}

// Before anything is started or cancelled: a build that runs already must not run a second time.
void Builder::settle() {
    while (!waited_.empty()) {
        const auto id = waited_.begin();
        if (const std::string run = executor_->left_behind(*id); !run.empty()) builds_.set_run(*id, run);
        waited_.erase(id);
    }
}

void Builder::turn() {
    settle();
    const auto all = builds_.unfinished();
    size_t active = 0;
    for (const auto& build : all) active += !build.run.empty();
    for (const auto& build : all) {
        std::string why;
        try {
            if (!build.run.empty())
                look_after(build);
            else if (build.cancelled)
                fail(build, "it was cancelled", true);
            else if (executor_->has_room(active))
                start(build), ++active;
        } catch (const Error& e) {
            why = e.message();
            if (!build.run.empty()) executor_->cancel(build.run);
        } catch (const HttpError& e) {
            why = e.message;
        }
        if (!why.empty()) fail(build, why);
    }
}

void Builder::start(const Build& build) {
    const JobDirectory job(options_, build.id);
    const std::string run = executor_->start(job.path(), build.id);
    try {
        builds_.set_run(build.id, run);
    } catch (...) {
        executor_->cancel(run);
        throw;
    }
    executor_->go(run);
    if (executor_->state(run) == Executor::State::running) builds_.set_running(build.id);
}

void Builder::look_after(const Build& build) {
    const JobDirectory job(options_, build.id);
    if (build.cancelled) {
        executor_->cancel(build.run);
        if (!executor_->outlives_hub() || executor_->state(build.run) == Executor::State::ended)
            fail(build, "it was cancelled", true);
        return;
    }
    const auto state = executor_->state(build.run);
    if (state != Executor::State::waiting && build.state == "queued") builds_.set_running(build.id);
    if (state != Executor::State::ended) {
        // The build's own watch ends it in time; this is for a watch that was ended itself. Slurm has its own.
        if (!executor_->outlives_hub() && build.started > 0 && now() > build.started + options_.seconds + 30) {
            executor_->cancel(build.run);
            fail(build, "it took longer than " + std::to_string(options_.seconds) + " seconds");
        }
        return;
    }
    if (build.state == "queued") builds_.set_running(build.id);
    const auto status = job.status();
    if (!status)
        return fail(build, job.no_room() ? "the builder's disk is full"
                           : executor_->outlives_hub()
                               ? "Slurm ended the job: its time or memory was used up, or its machine failed"
                               : "it was ended from outside");
    if (*status != 0) return fail(build, "it ended with status " + std::to_string(*status));
    store(build, job);
}

void Builder::store(const Build& build, const JobDirectory& job) {
    const auto user =
        service_.database.query("SELECT name, admin, disabled FROM users WHERE id = ?", {build.user}).at(0);
    if (user.flag(2)) return fail(build, "its user was disabled");
    const File file = job.result();
    struct stat s {};
    if (!file || ::fstat(file.fd(), &s) != 0) return fail(build, "it left no image");
    // With the owner's rights, whatever they are now.
    const Identity owner{build.user, user.text(0), user.flag(1), scope_all, {}};
    std::vector<std::string> tags;
    const auto reference = build_reference(build.reference, owner.name, tags);
    if (!build.temporary) Library::need_write(owner, reference.entity);
    job.say("INFO:    Now uploading image-" + build.id + ".sif to the library");
    const Container container = library_.make_container(reference, build.temporary, build.temporary ? build.user : 0);
    if (static_cast<uint64_t>(s.st_size) + (64 << 20) > service_.blobs->free_bytes())
        throw Error(Code::no_space, "the hub's disk has no room for the image");
    const auto image = library_.make_image(container, "sha256." + file_sha256(file.fd()), "");
    if (!image.uploaded) {
        const std::string upload = random_hex(12);
        // The row keeps garbage collection away from the file.
        service_.database.change("INSERT INTO uploads VALUES(?, ?, ?, ?, ?)",
                                 {upload, image.id, int64_t{s.st_size}, int64_t{s.st_size}, now() + 86400});
        std::string hash;
        {
            const File copy = service_.blobs->open_upload(upload);
            copy_file(file.fd(), copy.fd(), static_cast<uint64_t>(s.st_size));
            hash = file_sha256(copy.fd());
        }
        library_.finish(image, container, upload, hash);
    }
    for (const auto& tag : tags) job.say("INFO:    Setting tag " + tag);
    service_.database.transaction([&] {
        for (const auto& tag : tags)
            library_.set_tag(build.temporary ? Identity{build.user, owner.name, true, scope_all, {}} : owner,
                             container.id, "", tag, image.id);
        builds_.succeed(build.id, image.id, s.st_size, image.hash);
    });
    // The order matters to viewers: they leave when the state is final and all of the log is read.
    job.clean();
}

void Builder::fail(const Build& build, const std::string& why, bool cancelled) {
    const JobDirectory job(options_, build.id);
    // First: on a full disk there is room for the rest only then.
    job.clean();
    job.say(cancelled ? "WARNING: The build was cancelled" : "ERROR:   The build failed: " + why);
    builds_.end(build.id, cancelled ? "cancelled" : "failed", why);
}

void Builder::sweep() {
    contexts_.sweep();
    for (const auto& c : library_.containers("WHERE entities.name = ? AND containers.created < ?",
                                             {temporary_entity, now() - results_kept}))
        library_.remove_container(c.id);
    for (const auto& build : builds_.completed_before(now() - builds_kept)) {
        JobDirectory(options_, build.id).remove();
        builds_.remove(build.id);
    }
}

}  // namespace hub
