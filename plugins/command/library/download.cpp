#include "library/download.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

namespace library {

using singularity::ForeignResponse;
using singularity::Slice;
using singularity::Stream;

namespace {

constexpr uint64_t least_part = 64 << 10, most_part = 64 << 20;

[[noreturn]] void refuse(const Client& client, ForeignResponse& response, const Wanted& wanted) {
    remotes::Reply reply;
    reply.status = response.status();
    const auto body = response.body();
    reply.text = singularity::read_all(*body, remotes::max_answer, "the answer of " + client.base());
    if (reply.status == 404)
        throw Error(Code::not_found,
                    "requested image was not found in the library: " + wanted.container + ":" + wanted.tag);
    client.service().refuse(reply, "cannot fetch " + wanted.container + ":" + wanted.tag);
}

// One answer, whose first `skip` bytes nobody wants.
class OneAnswer final : public Stream {
public:
    OneAnswer(ForeignResponse response, uint64_t skip)
        : response_(std::move(response)), body_(response_.body()), skip_(skip) {}
    Slice next() override {
        for (;;) {
            held_ = body_->next();
            if (held_.size() == 0) {
                if (skip_ > 0) throw Error(Code::network, "the connection ended early");
                return {};
            }
            const uint64_t cut = std::min(skip_, held_.size());
            skip_ -= cut;
            if (cut == held_.size()) continue;
            if (cut == 0) return std::move(held_);
            return Slice::borrowed(held_.data() + cut, held_.size() - cut);
        }
    }

private:
    ForeignResponse response_;
    std::unique_ptr<Stream> body_;
    uint64_t skip_;
    Slice held_;
};

// Parts are fetched by threads that wait for the network, a few ahead of the reader, and given in order.
class Parts final : public Stream {
public:
    Parts(const Client& client, const Wanted& wanted, uint64_t begin, uint64_t end, const DownloadPlan& plan,
          ForeignResponse first, const Host& host)
        : client_(client),
          wanted_(wanted),
          begin_(begin),
          end_(end),
          plan_(plan),
          count_((end - begin + plan.part_size - 1) / plan.part_size),
          host_(host),
          first_(std::move(first)) {
        const uint64_t threads = std::min<uint64_t>(plan.at_a_time, count_);
        try {
            for (uint64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
        } catch (...) {
            stop();
            throw;
        }
    }
    ~Parts() override { stop(); }

    Slice next() override {
        std::unique_lock lock(mutex_);
        if (given_ == count_) return {};
        changed_.wait(lock, [&] { return ready_.contains(given_) || failure_; });
        // What came in order before a failure is of use.
        const auto at = ready_.find(given_);
        if (at == ready_.end()) std::rethrow_exception(failure_);
        auto bytes = std::move(at->second);
        ready_.erase(at);
        ++given_;
        changed_.notify_all();
        return Slice::owned(std::move(bytes));
    }

private:
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
        for (auto& t : threads_) t.join();
    }

    void work() {
        for (;;) {
            uint64_t index = 0;
            {
                std::unique_lock lock(mutex_);
                // As many parts wait for the reader as are fetched.
                changed_.wait(lock, [&] {
                    return stopped_ || failure_ || taken_ == count_ || taken_ < given_ + 2 * plan_.at_a_time;
                });
                if (stopped_ || failure_ || taken_ == count_) return;
                index = taken_++;
            }
            try {
                auto bytes = fetch(index);
                const std::lock_guard lock(mutex_);
                ready_.emplace(index, std::move(bytes));
            } catch (...) {
                const std::lock_guard lock(mutex_);
                if (!failure_) failure_ = std::current_exception();
            }
            changed_.notify_all();
        }
    }

    std::vector<uint8_t> fetch(uint64_t index) {
        const uint64_t from = begin_ + index * plan_.part_size, to = std::min(from + plan_.part_size, end_);
        std::optional<ForeignResponse> later;
        if (index > 0) later.emplace(client_.file(wanted_.container, wanted_.tag, wanted_.arch, from, to, host_));
        ForeignResponse& response = index == 0 ? first_ : *later;
        if (response.status() != 206) {
            if (response.status() >= 300) refuse(client_, response, wanted_);
            throw Error(Code::network, client_.base() + " answers a range with the whole, though it gave one before");
        }
        const auto body = response.body();
        std::vector<uint8_t> out(to - from);
        uint64_t at = 0;
        for (;;) {
            const Slice slice = body->next();
            if (slice.size() == 0) break;
            if (slice.size() > out.size() - at)
                throw Error(Code::corrupt, client_.base() + " gives more bytes than it was asked for");
            std::memcpy(out.data() + at, slice.data(), slice.size());
            at += slice.size();
            const std::lock_guard lock(mutex_);
            if (stopped_) throw Error(Code::cancelled, "interrupted");
        }
        if (at != out.size()) throw Error(Code::network, client_.base() + ": the connection ended early");
        return out;
    }

    const Client& client_;
    const Wanted wanted_;
    const uint64_t begin_, end_;
    const DownloadPlan plan_;
    const uint64_t count_;
    const Host host_;
    ForeignResponse first_;  // of part 0; its thread alone uses it

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::map<uint64_t, std::vector<uint8_t>> ready_;
    uint64_t taken_ = 0, given_ = 0;
    bool stopped_ = false;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_;
};

}  // namespace

DownloadPlan DownloadPlan::of(const Host& host) {
    DownloadPlan plan;
    plan.at_a_time =
        static_cast<unsigned>(std::clamp<int64_t>(host.integer("library.download_concurrency", plan.at_a_time), 1, 32));
    plan.part_size =
        std::clamp(static_cast<uint64_t>(std::max<int64_t>(
                       0, host.integer("library.download_part_size", static_cast<int64_t>(plan.part_size)))),
                   least_part, most_part);
    return plan;
}

std::unique_ptr<Stream> download(const Client& client, const Wanted& wanted, uint64_t offset, const DownloadPlan& plan,
                                 const Host& host) {
    if (offset > wanted.size) throw Error(Code::corrupt, client.base() + " gives more bytes than it told");
    const bool in_parts = wanted.size != SG_SIZE_UNKNOWN && plan.at_a_time > 1 && wanted.size - offset > plan.part_size;
    const uint64_t end = in_parts ? offset + plan.part_size : SG_SIZE_UNKNOWN;
    ForeignResponse response = client.file(wanted.container, wanted.tag, wanted.arch, offset, end, host);
    if (response.status() == 206 && in_parts)
        return std::make_unique<Parts>(client, wanted, offset, wanted.size, plan, std::move(response), host);
    if (response.status() == 206) return std::make_unique<OneAnswer>(std::move(response), 0);
    if (response.status() == 200) return std::make_unique<OneAnswer>(std::move(response), offset);
    refuse(client, response, wanted);
}

}  // namespace library
