#include "fetch/layer_fetch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "base/error.hpp"
#include "base/log.hpp"
#include "fetch/waiting.hpp"
#include "rootfs/digest_stream.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {

using singularity::Slice;

// Signals of the user go to the main thread.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, crash);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};

UniqueFd unnamed_file(const std::string& directory) {
    UniqueFd fd(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd) return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) throw_errno("cannot write to", directory);
    std::string name = directory + "/singularity-blob-XXXXXX";
    fd.reset(mkostemp(name.data(), O_CLOEXEC));
    if (!fd) throw_errno("cannot write to", directory);
    unlink(name.c_str());
    return fd;
}

void write_at(int fd, const Slice& slice, uint64_t at, const std::string& directory) {
    if (slice.is_hole()) {
        if (ftruncate(fd, static_cast<off_t>(at + slice.size())) != 0) throw_errno("cannot write a temporary file in", directory);
        return;
    }
    const uint8_t* data = slice.data();
    for (uint64_t left = slice.size(); left > 0;) {
        const ssize_t n = pwrite(fd, data, left, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write a temporary file in", directory);
        data += n;
        at += static_cast<uint64_t>(n);
        left -= static_cast<uint64_t>(n);
    }
}

}  // namespace

LayerFetch::LayerFetch(std::vector<RemoteLayer> base_first, const FetchPlan& plan, const sg_call* call)
    : plan_(plan), call_(call), inner_{cancel_, call ? call->progress : nullptr}, ended_(eventfd(0, EFD_CLOEXEC)) {
    if (!ended_) throw_errno("cannot make an event descriptor", "");
    for (auto& r : base_first) {
        Layer l;
        l.digest = Digest::try_parse(r.digest);
        l.remote = std::move(r);
        layers_.push_back(std::move(l));
    }
    prepare_store();
    find_missing();
    if (plan_.keep && !jobs_.empty()) take_lease();
    for (const Layer& l : layers_)
        if (!l.arriving) log::plain("Skipping fetch of repeat blob " + l.remote.name);
    if (jobs_.empty()) return;
    const SignalsBlocked blocked;
    watcher_ = std::thread([this] {
        pollfd waits[2] = {{call_ ? call_->cancel.fd() : -1, POLLIN, 0}, {ended_.get(), POLLIN, 0}};
        while (poll(waits, 2, -1) < 0 && errno == EINTR) {
        }
        if (waits[0].revents != 0) cancel_.cancel();
    });
    const size_t n = std::min<size_t>(std::max(1u, plan_.jobs), jobs_.size());
    try {
        for (size_t i = 0; i < n; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
        // A limit on threads: those that exist do the work.
        if (!threads_.empty()) return;
        stop();
        throw Error(Code::limit, "no thread can be started to fetch the image", "The limit of processes (ulimit -u) is reached.");
    }
}

void LayerFetch::prepare_store() {
    plan_.keep = plan_.keep && plan_.store && plan_.store->writable();
    if (!plan_.keep) return;
    try {
        plan_.store->prepare();
    } catch (const Error& e) {
        if (e.code() != Code::permission && e.code() != Code::invalid) throw;
        log::warning("nothing is cached: " + e.message());
        plan_.keep = false;
    }
}

void LayerFetch::find_missing() {
    jobs_.clear();
    std::map<std::string, std::shared_ptr<ArrivingBlob>> same;
    for (size_t i = layers_.size(); i-- > 0;) {
        Layer& l = layers_[i];
        l.arriving = nullptr;
        if (plan_.store && l.digest && plan_.store->find(*l.digest, l.remote.size)) continue;
        auto& arriving = same[l.remote.digest.empty() ? "#" + std::to_string(i) : l.remote.digest];
        if (!arriving) {
            arriving = std::make_shared<ArrivingBlob>();
            jobs_.push_back({i, arriving, nullptr, UniqueFd()});
        }
        l.arriving = arriving;
    }
}

void LayerFetch::take_lease() {
    std::string all;
    for (const Layer& l : layers_) all += l.remote.digest + "\n";
    const auto have_all = [&] {
        return std::all_of(layers_.begin(), layers_.end(),
                           [&](const Layer& l) { return l.digest && plan_.store->find(*l.digest, l.remote.size); });
    };
    try {
        Waiting waiting(call_);
        lease_ = Lease::acquire(plan_.store->root(), "blobs-" + sha256_hex(all), have_all, std::ref(waiting), call_);
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        log::verbose("fetching without a lease: " + e.message());
    }
    find_missing();  // others may have brought some
    if (!lease_) return;
    progress_ = std::make_unique<LeaseProgress>(*lease_, inner_.progress);
    inner_.progress = progress_.get();
}

LayerFetch::~LayerFetch() {
    cancel_.cancel();
    stop();
}

void LayerFetch::stop() {
    for (auto& t : threads_)
        if (t.joinable()) t.join();
    const uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(ended_.get(), &one, sizeof one);
    if (watcher_.joinable()) watcher_.join();
}

void LayerFetch::fail(std::exception_ptr failure) {
    {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = failure;
        failure = failure_;  // the first one tells why, what follows is only its consequence
    }
    cancel_.cancel();
    for (Job& j : jobs_) j.arriving->failed(failure);
}

void LayerFetch::work() {
    try {
        for (size_t i; (i = next_.fetch_add(1)) < jobs_.size();) {
            cancel_.poll();
            fetch(jobs_[i]);
        }
    } catch (...) {
        fail(std::current_exception());
    }
}

void LayerFetch::fetch(Job& job) {
    const Layer& layer = layers_[job.layer];
    const bool keep = plan_.keep && layer.digest;
    if (keep)
        job.kept = std::make_unique<NewFile>(plan_.store->root());
    else
        job.temporary = unnamed_file(plan_.temporary);
    job.arriving->begin(keep ? job.kept->fd() : job.temporary.get());
    std::unique_ptr<Progress::Bar> bar(inner_.progress ? inner_.progress->begin(("Copying blob " + layer.remote.name).c_str(), layer.remote.size) : nullptr);
    try {
        // Size and digest are compared before the last, empty slice; hashing has its own thread.
        const auto stream = verify(layer.remote.open(&inner_), {layer.remote.digest, layer.remote.size, "layer " + layer.remote.name, "digest"}, true);
        uint64_t at = 0;
        for (;;) {
            const Slice slice = stream->next();
            if (slice.size() == 0) break;
            cancel_.poll();
            if (keep)
                job.kept->append(slice);
            else
                write_at(job.temporary.get(), slice, at, plan_.temporary);
            at += slice.size();
            bytes_ += slice.size();
            job.arriving->arrived(slice.size());
            if (bar) bar->advance(slice.size());
        }
    } catch (...) {
        if (bar) bar->end(SG_EIO);
        throw;
    }
    job.arriving->verified();
    if (bar) bar->end(SG_OK);
    if (keep) plan_.store->keep(*job.kept, *layer.digest);
}

std::unique_ptr<singularity::Stream> LayerFetch::read(size_t index) {
    const Layer& l = layers_.at(index);
    if (l.arriving) return l.arriving->read(call_);
    return plan_.store->open(*l.digest, l.remote.size);
}

void LayerFetch::finish() {
    for (auto& t : threads_)
        if (t.joinable()) t.join();
    lease_.reset();
    if (call_) call_->cancel.poll();
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
}

bool LayerFetch::kept() const {
    return plan_.keep && std::all_of(layers_.begin(), layers_.end(), [&](const Layer& l) { return l.digest && plan_.store->holds(*l.digest); });
}

bool LayerFetch::discard_damaged() {
    bool any = false;
    for (const Layer& l : layers_) {
        if (l.arriving || plan_.store->intact(*l.digest)) continue;
        log::warning("the cached blob " + l.digest->text() + " is damaged, it is fetched again");
        plan_.store->discard(*l.digest);
        any = true;
    }
    return any;
}

}  // namespace sg
